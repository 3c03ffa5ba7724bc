"""The two-way session of the Agent Client Protocol, version 1, as its client.

What goes back and forth, in this order:
    → initialize, ← its answer {protocolVersion, agentCapabilities}
    → session/new | session/load, ← {sessionId, modes} (a loaded one tells its past first)
    → session/set_mode where it would not ask by itself
    → session/prompt, ← session/update …, ← session/request_permission …
    ← the prompt's answer {stopReason, usage}

No file system and no terminal are offered: the agent uses its own, in the place it runs in. One
that asks for them all the same is told that they are not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from muster.agents import prices, service_errors
from muster.agents.acp_updates import Updates
from muster.agents.asking import Message
from muster.agents.base import Answer, Ending, Fact
from muster.agents.endings import by_why, status_words
from muster.agents.json_rpc import JsonRpc
from muster.agents.opencode_plugin import ERROR, RETRY
from muster.agents.outbox import line
from muster.agents.said import one_line, readable
from muster.agents.stream_json_values import count, deep, entries, mapping, money, word
from muster.domain.agent import Outcome, Usage
from muster.domain.errors import Conflict, Invalid

VERSION = 1
AUTH_REQUIRED = -32000

_STOPPED = {
    "max_tokens": Ending(Outcome.BUDGET, "the limit of tokens is reached"),
    "max_turn_requests": Ending(Outcome.BUDGET, "the limit of requests in a turn is reached"),
    "refusal": Ending(Outcome.REFUSED, "the model refused to go on"),
    "cancelled": Ending(Outcome.CANCELLED, "its turn was interrupted"),
}
_ANEW = "session-anew"
_CANCELLED = {"outcome": {"outcome": "cancelled"}}


@dataclass(frozen=True, slots=True)
class Start:
    """What the session is to be.

    `ask`: requests for permission wait for an answer, else they are allowed at once. `mode` is the
    one in which the agent asks, where that is not its first. `end_code` is the status that the
    program ends with when its standard input is closed. `pointer` is said after the prompt.
    `servers` are MCP servers over HTTP, in the words of the protocol.
    """

    prompt: str
    workspace: str
    ask: bool = False
    mode: str = ""
    model: str = ""
    resume: str = ""
    before: Usage = field(default_factory=Usage)
    end_code: int = 0
    pointer: str = ""
    servers: Sequence[Mapping[str, Any]] = ()


class AcpSession(JsonRpc):
    """A conversation with one agent, in one session of it."""

    def __init__(self, start: Start, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._start = start
        self._clock = clock
        self._updates = Updates(start.workspace.rstrip("/") + "/")
        self._session = self._loads = ""
        self._servers: list[Any] = []
        self._asked_turns = 1
        self._over_turns = 0
        self._ending: Ending | None = None
        self._broken = False
        self._used = Usage()
        self._cost = 0.0
        self._priced = True
        self._counted = False
        self._refused_with: int | None = None

    # --- the seam ---------------------------------------------------------------------------------

    def opening(self) -> bytes:
        """The handshake's first line."""
        fs = {"readTextFile": False, "writeTextFile": False}
        params = {
            "protocolVersion": VERSION,
            "clientCapabilities": {"fs": fs, "terminal": False},
            "clientInfo": {"name": "muster", "title": "muster", "version": "1"},
        }
        return line(
            {"jsonrpc": "2.0", "id": "initialize", "method": "initialize", "params": params}
        )

    @property
    def finished(self) -> bool:
        """Whether all prompts are answered, or none can be."""
        return self._broken or self._over_turns >= self._asked_turns

    def answer(self, request_id: str, answer: Answer) -> bytes:
        """Choose the agent's own option that comes nearest."""
        asked = self._unanswered(request_id)
        if answer.edited:
            raise Invalid("this agent does what it asked for or nothing", hint="deny it")
        kinds = _kinds(answer.allow, answer.for_session)
        option = _option(mapping(asked.get("params")), kinds)
        if option is None and answer.allow:
            raise Invalid("the agent offers no way to allow this", hint="deny it")
        return self._write_answer(request_id, _CANCELLED if option is None else _chosen(option))

    @property
    def words(self) -> int:
        """How many prompts it was given after the first."""
        return self._asked_turns - 1

    def say(self, text: str) -> bytes:
        """The next turn; a running one cannot be steered."""
        if not self._session:
            raise Conflict("the agent has not begun yet", hint="say it again in a moment")
        if not self.finished:
            raise Conflict(
                "this agent hears nothing before its turn is over", hint="interrupt it, or wait"
            )
        self._asked_turns += 1
        number = f"prompt-{self._asked_turns}"
        return self._write_request(number, "session/prompt", self._prompt(text))

    def interrupt(self) -> bytes:
        """End the running turn; what waits for an answer is given up."""
        if not self._session or self.finished:
            return b""
        cancel = self._write_notice("session/cancel", {"sessionId": self._session})
        waiting = list(self.waiting)
        return cancel + b"".join(self._write_answer(number, _CANCELLED) for number in waiting)

    def end(self, code: int | None, why: str) -> Ending:
        """The outcome of the last prompt; success needs the agent's own word, and its status."""
        for _ in self._line(self._lines.rest()):
            pass
        if decided := by_why(why):
            return decided
        if self._ending is None or not self.finished:
            return Ending(Outcome.CRASHED, f"{status_words(code)} in the middle of its work")
        fine = code in {0, self._start.end_code} or why == "closed"
        if self._ending.outcome is Outcome.COMPLETED and not fine:
            return Ending(Outcome.CRASHED, f"{status_words(code)} after it reported success")
        return self._ending

    # --- what comes in ----------------------------------------------------------------------------

    @override
    def _answered(self, number: str, result: Message) -> Iterator[Fact]:
        if number == "initialize":
            yield from self._greeted(result)
        elif number in {"session", _ANEW} and not self._session:
            yield from self._begun(result)
        elif number == "mode":
            self._owe_first()
        elif number.startswith("prompt-"):
            yield from self._over(result)

    def _greeted(self, result: Message) -> Iterator[Fact]:
        version = result.get("protocolVersion")
        if deep(result, "agentCapabilities", "mcpCapabilities", "http") is True:
            self._servers = list(self._start.servers)
        if version != VERSION:
            said = f"the agent speaks version {one_line(str(version))} of ACP, muster {VERSION}"
            yield from self._break(Ending(Outcome.FAILED, said))
        elif self._start.resume and deep(result, "agentCapabilities", "loadSession") is True:
            self._loads = self._start.resume
            self._owe_request("session", "session/load", {**self._place, "sessionId": self._loads})
        else:  # who cannot go on with a session begins one, on the work that is there
            self._owe_request("session", "session/new", self._place)

    @property
    def _place(self) -> dict[str, Any]:
        """Where a session works, and with which servers."""
        return {"cwd": self._start.workspace, "mcpServers": self._servers}

    def _begun(self, result: Message) -> Iterator[Fact]:
        self._session = self._loads or word(result.get("sessionId"))
        model = self._start.model or word(deep(result, "models", "currentModelId"))
        yield Fact("session", {"session_id": one_line(self._session), "model": one_line(model)})
        modes = [m.get("id") for m in entries(deep(result, "modes", "availableModes"))]
        now = deep(result, "modes", "currentModeId")
        if self._start.ask and self._start.mode in modes and now != self._start.mode:
            params = {"sessionId": self._session, "modeId": self._start.mode}
            self._owe_request("mode", "session/set_mode", params)
        else:
            self._owe_first()

    def _owe_first(self) -> None:
        first = self._prompt(self._start.prompt, *filter(None, [self._start.pointer]))
        self._owe_request("prompt-1", "session/prompt", first)

    def _over(self, result: Message) -> Iterator[Fact]:
        yield from self._updates.flush()
        self._over_turns += 1
        yield from self._count(result)
        stopped = word(result.get("stopReason"))
        if stopped == "end_turn":
            text = one_line(self._updates.last_text, service_errors.REASON)
            self._ending = Ending(Outcome.COMPLETED, text or "finished")
        else:
            unknown = Ending(Outcome.FAILED, f"stopped for '{one_line(stopped)}'")
            self._ending = _STOPPED.get(stopped, unknown)
        ok = self._ending.outcome is Outcome.COMPLETED
        yield Fact("finished", {"ok": ok, "text": self._ending.reason})

    @override
    def _failed(self, number: str, error: Message) -> Iterator[Fact]:
        yield from self._updates.flush()
        said, status = _words(error), count(error.get("code"))
        yield Fact("error", {"text": readable(said), "status": status or None})
        if number == "mode":
            yield from self._break(Ending(Outcome.FAILED, f"it cannot be made to ask: {said}"))
            return
        told, self._refused_with = self._refused_with, None
        known = service_errors.status_in(_details(error)) or told
        known = status if 400 <= status < 600 else known
        if error.get("code") == AUTH_REQUIRED and not number.startswith("prompt-"):
            known = 401
        ending = service_errors.ending(said, known, self._clock())
        if ending.outcome is Outcome.RATE_LIMITED:
            yield Fact("rate_limit", {"retry_at": ending.retry_at})
        if number.startswith("prompt-"):
            self._over_turns += 1
            self._ending = ending
            yield Fact("finished", {"ok": False, "text": ending.reason})
        elif number == "session" and self._loads and ending.outcome is Outcome.FAILED:
            self._loads = ""  # it is gone there
            self._owe_request(_ANEW, "session/new", self._place)
        elif number in {"initialize", "session", _ANEW}:
            yield from self._break(ending)

    @override
    def _notified(self, method: str, params: Message) -> Iterator[Fact]:
        if method == RETRY:
            delay = count(params.get("delay")) / 1000
            text = readable(word(params.get("message")))
            yield Fact("retry", {"text": text, "status": None, "delay_seconds": delay})
        elif method == ERROR:
            self._refused_with = count(params.get("status")) or None
        elif method != "session/update":
            yield Fact("raw", {"type": one_line(method), "text": ""})
        elif self._session:  # Before, a loaded session tells its past.
            update = mapping(params.get("update"))
            if told := mapping(deep(update, "_meta", "usage")):
                self._counted = True
                yield from self._add(_tokens(told))
            if update.get("sessionUpdate") == "usage_update":
                yield from self._spent(update)
            else:
                yield from self._updates.take(update)

    @override
    def _requested(self, number: str, method: str, params: Message) -> Iterator[Fact]:
        if method != "session/request_permission":
            self._refuse(number, f"muster offers no {one_line(method)}; use your own tools")
            yield Fact("raw", {"type": one_line(method), "text": "refused"})
            return
        yield from self._updates.flush()
        call = mapping(params.get("toolCall"))
        yield from self._updates.call({**call, "status": call.get("status") or "pending"})
        option = _option(params, _kinds(allow=True, for_session=False))
        if not self._start.ask and option is not None:
            self._owe_answer(number, _chosen(option))
        elif not self._keep(number, {"method": method, "params": params}):
            self._refuse(number, "too many requests wait for an answer")
        else:
            tool, summary = self._updates.named(call)
            data = {"id": number, "tool": tool, "summary": summary}
            options = ["allow", *_more_options(params), "deny"]
            shown, subject = self._updates.given(call)
            whole = {"input": shown, "subject": subject}
            yield Fact("permission", {**data, **whole, "options": options})

    # --- parts ------------------------------------------------------------------------------------

    @override
    def _was_sent(self, message: Message) -> None:
        """Count the prompts that were made."""
        kind, _, rest = word(message.get("id")).partition("-")
        if kind == "prompt" and rest.isdecimal():
            self._asked_turns = max(self._asked_turns, min(int(rest[:6]), 10**6))

    def _break(self, ending: Ending) -> Iterator[Fact]:
        self._broken, self._ending = True, ending
        yield Fact("finished", {"ok": False, "text": ending.reason})

    def _prompt(self, *texts: str) -> dict[str, Any]:
        parts = [{"type": "text", "text": text} for text in texts]
        return {"sessionId": self._session, "prompt": parts}

    def _spent(self, update: Message) -> Iterator[Fact]:
        """The cost of the session so far, where the agent knows it."""
        if deep(update, "cost", "currency") == "USD":
            self._cost = money(deep(update, "cost", "amount"))
            yield self._usage()

    def _count(self, result: Message) -> Iterator[Fact]:
        """Tokens of a turn, unless they were told on the way."""
        quota = mapping(deep(result, "_meta", "quota", "token_count"))
        counted, self._counted = self._counted, False
        if not counted:
            turn = _tokens(mapping(result.get("usage")))
            told = Usage(count(quota.get("input_tokens")), count(quota.get("output_tokens")))
            yield from self._add(turn if turn != Usage() else told)

    def _add(self, tokens: Usage) -> Iterator[Fact]:
        if tokens != Usage():
            cost = prices.cost(self._start.model, tokens.input_tokens, tokens.output_tokens)
            self._priced = cost is not None
            self._used += Usage(tokens.input_tokens, tokens.output_tokens, cost or 0.0)
            yield self._usage()

    def _usage(self) -> Fact:
        told = max(0.0, self._cost - self._start.before.cost_usd) if self._cost else 0.0
        cost = told or self._used.cost_usd
        data = {"input_tokens": self._used.input_tokens, "output_tokens": self._used.output_tokens}
        priced = self._priced or self._cost > 0
        return Fact("usage", {**data, "cost_usd": cost, "priced": priced})


def _tokens(usage: Message) -> Usage:
    """Tokens read, from a cache or not, and tokens written."""
    read = ("inputTokens", "cachedReadTokens", "cachedWriteTokens")
    written = ("outputTokens", "thoughtTokens")
    return Usage(
        sum(count(usage.get(name)) for name in read), sum(count(usage.get(n)) for n in written)
    )


def _kinds(allow: bool, for_session: bool) -> tuple[str, ...]:
    if not allow:
        return ("reject_once", "reject_always")
    return ("allow_always", "allow_once") if for_session else ("allow_once", "allow_always")


def _option(params: Message, kinds: tuple[str, ...]) -> str | None:
    """The id of the agent's option of the first of these kinds that it has."""
    offered = entries(params.get("options"))
    for kind in kinds:
        for option in offered:
            if option.get("kind") == kind and word(option.get("optionId")):
                return word(option.get("optionId"))
    return None


def _more_options(params: Message) -> list[str]:
    kinds = {option.get("kind") for option in entries(params.get("options"))}
    return ["allow_session"] if "allow_always" in kinds else []


def _chosen(option: str) -> Mapping[str, Any]:
    return {"outcome": {"outcome": "selected", "optionId": option}}


def _words(error: Message) -> str:
    """What an error says; the details are often only in its data."""
    return f"{word(error.get('message'))} {_details(error)}".strip()


def _details(error: Message) -> str:
    data = error.get("data")
    if isinstance(data, str):
        return data
    return word(mapping(data).get("details")) or word(mapping(data).get("message"))
