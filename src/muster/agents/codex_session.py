"""The two-way session with Codex's app-server: one thread, its turns, its requests.

What goes back and forth, in this order:
    → initialize, ← its answer, → initialized, → thread/start | thread/resume | thread/fork
    ← thread {id}, → turn/start {input}, ← turn {id}
    ← item/started, item/completed, turn/plan/updated, thread/tokenUsage/updated, error {willRetry}
    ← item/commandExecution/requestApproval, item/fileChange/requestApproval,
      item/permissions/requestApproval: answered by a person or a rule
    ← turn/completed {turn: {status: completed | interrupted | failed, error}}
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from muster.agents import codex_items, prices, service_errors
from muster.agents.asking import LONGEST_ID, Message
from muster.agents.base import Answer, Ending, Fact
from muster.agents.endings import by_why, status_words
from muster.agents.in_mind import InMind
from muster.agents.json_rpc import JsonRpc
from muster.agents.outbox import line
from muster.agents.said import one_line, readable, small, subject, use_line
from muster.agents.stream_json_values import count, deep, epoch, mapping, word
from muster.domain.agent import Outcome, Usage
from muster.domain.errors import Conflict, Invalid

_APPROVALS = {
    "item/commandExecution/requestApproval": "shell",
    "item/fileChange/requestApproval": "edit",
    "item/permissions/requestApproval": "permissions",
}
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Start:
    """What the thread is to be: `begin` is the request that makes it, with its parameters.

    `pointer` is said after the prompt.
    """

    prompt: str
    workspace: str
    begin: str
    params: Mapping[str, Any]
    before: Usage = field(default_factory=Usage)
    pointer: str = ""


class CodexSession(JsonRpc):
    """A conversation with one app-server."""

    def __init__(self, start: Start, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._start = start
        self._clock = clock
        self._root = start.workspace.rstrip("/") + "/"
        self._thread = ""
        self._turn = ""
        self._model = ""
        self._turns = {1}
        self._over_turns = 0
        self._told = 1
        self._words: dict[int, str] = {}
        self._settled: set[int] = set()
        self._items = InMind(_REMEMBERED)
        self._used: dict[str, Usage] = {}
        self._before = start.before
        self._ending: Ending | None = None
        self._retry_at: float | None = None
        self._last_text = ""

    # --- the seam ---------------------------------------------------------------------------------

    def opening(self) -> bytes:
        """The handshake's first line."""
        about = {"name": "muster", "title": "muster", "version": "1"}
        params = {"clientInfo": about}
        return line(
            {"jsonrpc": "2.0", "id": "initialize", "method": "initialize", "params": params}
        )

    @property
    def finished(self) -> bool:
        """Whether all turns that were asked for are over, or none can be."""
        broken = self._ending is not None and not self._thread
        heard = self._settled.issuperset(self._words)
        return broken or (self._over_turns >= len(self._turns) and heard)

    def answer(self, request_id: str, answer: Answer) -> bytes:
        """Allow or deny a command, a change of files, or more rights."""
        asked = self._unanswered(request_id)
        if answer.edited:
            raise Invalid("Codex runs a command as it is or not at all", hint="deny it and say why")
        if asked["method"] == "item/permissions/requestApproval":
            given = mapping(deep(asked, "params", "permissions")) if answer.allow else {}
            scope = "session" if answer.for_session else "turn"
            return self._write_answer(request_id, {"permissions": given, "scope": scope})
        allowed = "acceptForSession" if answer.for_session else "accept"
        said = self._write_answer(request_id, {"decision": allowed if answer.allow else "decline"})
        if answer.allow or not answer.message or not self._turn:
            return said
        return said + self._steer(self._fresh("because"), answer.message)

    @property
    def words(self) -> int:
        """How many words it was told after its prompt, which is the first."""
        return self._told - 1

    def say(self, text: str) -> bytes:
        """A word into the running turn, else the next turn; its number is the same either way."""
        if not self._thread:
            raise Conflict("Codex has not begun yet", hint="say it again in a moment")
        if not self._turn and not self.finished:
            raise Conflict("Codex is about to begin a turn", hint="say it again in a moment")
        self._told += 1
        if not self.finished:
            self._words[self._told] = text
            return self._steer(f"steer-{self._told}", text)
        self._turns.add(self._told)
        return self._write_request(f"turn-{self._told}", "turn/start", self._input(text))

    def _steer(self, number: str, text: str) -> bytes:
        params = {**self._input(text), "expectedTurnId": self._turn}
        return self._write_request(number, "turn/steer", params)

    def interrupt(self) -> bytes:
        """End the running turn."""
        if not self._turn or self.finished:
            return b""
        params = {"threadId": self._thread, "turnId": self._turn}
        return self._write_request(self._fresh("interrupt"), "turn/interrupt", params)

    def end(self, code: int | None, why: str) -> Ending:
        """The outcome of the last turn; success needs Codex's own word, and status 0."""
        for _ in self._line(self._lines.rest()):
            pass
        if decided := by_why(why):
            return decided
        if self._ending is None or not self.finished:
            return Ending(Outcome.CRASHED, f"{status_words(code)} in the middle of its work")
        if self._ending.outcome is Outcome.COMPLETED and code != 0 and why != "closed":
            return Ending(Outcome.CRASHED, f"{status_words(code)} after it reported success")
        return self._ending

    # --- what comes in ----------------------------------------------------------------------------

    @override
    def _answered(self, number: str, result: Message) -> Iterator[Fact]:
        if number == "initialize":
            self._owe_notice("initialized")
            self._owe_request("thread", self._start.begin, self._start.params)
        elif number == "thread" and not self._thread:
            self._thread = word(deep(result, "thread", "id"))
            self._model = one_line(word(result.get("model")))
            yield Fact("session", {"session_id": one_line(self._thread), "model": self._model})
            words = (self._start.prompt, *filter(None, [self._start.pointer]))
            self._owe_request("turn-1", "turn/start", self._input(*words))
        elif number.startswith("turn-"):
            self._turn = word(deep(result, "turn", "id")) or self._turn
        elif number.startswith("steer-"):
            self._settled.add(_word_in(number))

    @override
    def _failed(self, number: str, error: Message) -> Iterator[Fact]:
        said = readable(word(error.get("message")))
        yield Fact("error", {"text": said})
        if told := _word_in(number):
            # The turn was over before it heard the word: the word begins the next one.
            self._settled.add(told)
            self._turns.add(told)
            self._owe_word(told)
        elif number.startswith("turn-") or number in {"initialize", "thread"}:
            self._ending = service_errors.ending(said, None, self._clock())
            self._over_turns += number.startswith("turn-")
            yield Fact("finished", {"ok": False, "text": said})

    @override
    def _notified(self, method: str, params: Message) -> Iterator[Fact]:
        match method:
            case "item/started" | "item/completed":
                yield from self._item(method, params)
            case "turn/started" if self._is_mine(params):
                self._turn = word(deep(params, "turn", "id"))
            case "turn/completed" if self._is_mine(params):
                yield from self._over(mapping(params.get("turn")))
            case "turn/plan/updated":
                yield codex_items.plan(params.get("plan"))
            case "thread/tokenUsage/updated":
                yield from self._count(params)
            case "account/rateLimits/updated":
                yield from self._limit(mapping(params.get("rateLimits")))
            case "error":
                yield from self._error(params)
            case "serverRequest/resolved":
                self._give_up(params.get("requestId"))
            case _ if method.endswith(("elta", "/started", "/updated", "/changed")):
                pass
            case _:
                said = one_line(word(params.get("message")))
                yield Fact("raw", {"type": one_line(method), "text": said})

    @override
    def _requested(self, number: str, method: str, params: Message) -> Iterator[Fact]:
        tool = _APPROVALS.get(method)
        if tool is None:
            self._refuse(number, f"muster does not answer {one_line(method)}")
            yield Fact("raw", {"type": one_line(method), "text": "refused"})
            return
        if not self._keep(number, {"method": method, "params": params}):
            self._refuse(number, "too many requests wait for an answer")
            return
        item = self._items.get(_id(params.get("itemId")))
        given = {
            k: v for k, v in params.items() if k in {"command", "cwd", "reason", "permissions"}
        }
        if item.get("changes"):
            given["changes"] = item["changes"]
        words = codex_items.summary(item, self._root)[1]
        words = words or use_line(f"{tool} {word(params.get('command'))}")
        data = {"id": number, "tool": tool, "summary": words, "input": small(given)}
        # Elsewhere the same words do something else: no rule was meant for that.
        cwd = word(params.get("cwd"))
        here = f"{cwd or self._root}/".startswith(self._root) and ".." not in cwd
        plain = {**given, "command": codex_items.typed(word(params.get("command")))}
        data["subject"] = subject(plain, self._root) if here else None
        yield Fact("permission", {**data, "options": ["allow", "allow_session", "deny"]})

    # --- parts ------------------------------------------------------------------------------------

    @override
    def _was_sent(self, message: Message) -> None:
        """Count the turns that were asked for, and keep the words that may have to be said anew."""
        kind, _, rest = word(message.get("id")).partition("-")
        if kind not in {"turn", "steer"} or not rest.isdecimal():
            return
        number = int(rest[:6])
        self._told = max(self._told, number)
        if kind == "turn":
            self._turns.add(number)
        else:
            parts = deep(message, "params", "input")
            first = mapping(parts[0]) if isinstance(parts, list) and parts else {}
            self._words[number] = word(first.get("text"))
            if number in self._turns:
                self._owe_word(number)

    def _owe_word(self, number: int) -> None:
        """Begin a turn with a word that could not be said into the one before."""
        text = self._words.get(number, "")
        self._owe_request(f"turn-{number}", "turn/start", self._input(text))

    def _fresh(self, kind: str) -> str:
        number = 1
        while self._out.was_sent(f"ask {kind}-{number}"):
            number += 1
        return f"{kind}-{number}"

    def _input(self, *texts: str) -> dict[str, Any]:
        parts = [{"type": "text", "text": text} for text in texts]
        return {"threadId": self._thread, "input": parts}

    def _is_mine(self, params: Message) -> bool:
        """Whether it is of our thread, not of one that Codex began beside it."""
        return params.get("threadId") == self._thread

    def _item(self, method: str, params: Message) -> Iterator[Fact]:
        item = mapping(params.get("item"))
        if method == "item/started":
            self._items.put(_id(item.get("id")), item)
            yield from codex_items.started(item, self._root)
            return
        self._items.forget(_id(item.get("id")))
        if item.get("type") == "agentMessage" and self._is_mine(params):
            self._last_text = one_line(word(item.get("text")), service_errors.REASON)
        yield from codex_items.completed(item, self._root)

    def _over(self, turn: Message) -> Iterator[Fact]:
        self._turn = ""
        self._over_turns += 1
        status, said = word(turn.get("status")), readable(word(deep(turn, "error", "message")))
        if status == "completed":
            self._ending = Ending(Outcome.COMPLETED, self._last_text or "finished")
        elif status == "interrupted":
            self._ending = Ending(Outcome.CANCELLED, "its turn was interrupted")
        else:
            code = codex_items.http_status(deep(turn, "error", "codexErrorInfo"))
            more = readable(word(deep(turn, "error", "additionalDetails")))
            self._ending = service_errors.ending(
                f"{said} {more}".strip(), code, self._clock(), self._retry_at
            )
            yield from self._told_limit()
        ok = status == "completed"
        yield Fact("finished", {"ok": ok, "text": said or self._ending.reason})

    def _told_limit(self) -> Iterator[Fact]:
        if self._ending is not None and self._ending.outcome is Outcome.RATE_LIMITED:
            yield Fact("rate_limit", {"retry_at": self._ending.retry_at})

    def _error(self, params: Message) -> Iterator[Fact]:
        said = readable(word(deep(params, "error", "message")))
        status = codex_items.http_status(deep(params, "error", "codexErrorInfo"))
        if params.get("willRetry") is True:
            more = readable(word(deep(params, "error", "additionalDetails")))
            yield Fact("retry", {"text": one_line(f"{said} {more}"), "status": status})
        else:
            yield Fact("error", {"text": said, "status": status})

    def _limit(self, told: Message) -> Iterator[Fact]:
        """A limit that is used up; the later of its windows counts."""
        windows = [mapping(told.get(name)) for name in ("primary", "secondary")]
        full = [w for w in windows if count(w.get("usedPercent")) >= 100]
        ends = [moment for w in full if (moment := epoch(w.get("resetsAt")))]
        if told.get("rateLimitReachedType") and not ends:
            ends = [moment for w in windows if (moment := epoch(w.get("resetsAt")))]
        if ends:
            self._retry_at = max(ends)
            yield Fact("rate_limit", {"retry_at": self._retry_at})

    def _give_up(self, value: Any) -> None:
        """Codex has stopped waiting for an answer."""
        if isinstance(value, (str, int)):
            self._asked.pop(str(value), None)

    def _count(self, params: Message) -> Iterator[Fact]:
        """Totals of each thread; those that Codex began itself are ours to pay as well."""
        thread = one_line(word(params.get("threadId")))
        if len(self._used) >= _REMEMBERED and thread not in self._used:
            return
        total = mapping(deep(params, "tokenUsage", "total"))
        read, cached = count(total.get("inputTokens")), count(total.get("cachedInputTokens"))
        written = count(total.get("outputTokens"))
        cost = prices.cost(self._model, read, written, cached)
        self._used[thread] = Usage(read, written, cost or 0.0)
        used = sum(self._used.values(), Usage())
        if self._start.begin != "thread/start" and not (self._turn or self._over_turns):
            # Before its first turn a resumed thread tells what it had used.
            self._before = used
        before = self._before
        yield Fact(
            "usage",
            {
                "input_tokens": max(0, used.input_tokens - before.input_tokens),
                "output_tokens": max(0, used.output_tokens - before.output_tokens),
                "cost_usd": max(0.0, used.cost_usd - before.cost_usd),
                "priced": cost is not None,
            },
        )


def _id(value: Any) -> str:
    """An item's id; only one that is no id can be too long."""
    return word(value)[:LONGEST_ID]


def _word_in(number: str) -> int:
    """The number of the word in a request to steer; 0 for any other request."""
    kind, _, rest = number.partition("-")
    return int(rest[:6]) if kind == "steer" and rest.isdecimal() else 0
