"""The reader for the stream-json dialect: one JSON object per line, as Claude Code prints them.

Shapes, as seen from version 2.1.329:
    system/init              session_id, model, claude_code_version
    system/api_retry         attempt, max_retries, retry_delay_ms, error_status, error
    assistant                message {id, content: [text | thinking | tool_use], usage}, a line for
                             each block; `error` and `api_error_status` when the service refused
    user                     message {content: [tool_result {tool_use_id, is_error}]}
    rate_limit_event         rate_limit_info {status, resetsAt, rateLimitType}
    result                   subtype, is_error, result, total_cost_usd, usage, modelUsage, …
`total_cost_usd` and `modelUsage` count the whole session, over resumes; `usage` counts one turn and
is all zero when the budget ended it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from muster.agents.base import Ending, Fact
from muster.agents.endings import by_why, status_words
from muster.agents.said import Lines, one_line, readable, use_line, used_on
from muster.agents.stream_json_end import End
from muster.agents.stream_json_values import count, deep, entries, mapping, money, word
from muster.domain.agent import Outcome, Usage

REMEMBERED = 10_000
"""Open tool calls and messages that are kept in mind at once."""

_TELLING = (
    *("command", "file_path", "notebook_path", "pattern", "url", "query"),
    *("description", "skill", "path", "prompt"),
)
"""The inputs of a tool that say best what it does, the best first."""

_WRITES = {"Write": "file_path", "Edit": "file_path", "NotebookEdit": "notebook_path"}


class StreamJsonReader:
    """Turns one run's lines into facts; whatever is not understood is kept as `raw`."""

    def __init__(self, workspace: str = "", resumed: Usage | None = None) -> None:
        """Read a run in `workspace`; `resumed` is what the session had used before this run."""
        self._lines = Lines()
        self._root = workspace.rstrip("/") + "/"
        self._before = resumed
        self._tools: dict[str, tuple[str, str, str]] = {}
        self._messages: dict[str, Usage] = {}
        self._open = Usage()
        self._finished = Usage()
        self._total = Usage()
        self._end = End()

    def feed(self, data: bytes) -> Sequence[Fact]:
        """Facts completed by these bytes; never raises."""
        return [fact for line in self._lines.feed(data) for fact in self._line(line)]

    def end(self, code: int | None, why: str) -> Ending:
        """The outcome; success needs the program's own `result` and status 0, never one alone."""
        for _ in self._line(self._lines.rest()):
            pass
        return by_why(why) or self._end.ending(code) or _without_result(code)

    def _line(self, line: bytes) -> Iterator[Fact]:
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            yield Fact("raw", {"text": one_line(text)})
            return
        yield from self._event(event)

    def _event(self, event: Mapping[str, Any]) -> Iterator[Fact]:
        match event.get("type"):
            case "system":
                yield from self._system(event)
            case "assistant":
                yield from self._assistant(event)
            case "user":
                yield from self._user(event)
            case "rate_limit_event":
                yield from self._rate_limit(mapping(event.get("rate_limit_info")))
            case "result":
                yield from self._result(event)
            case _:
                yield Fact("raw", {"type": one_line(word(event.get("type"))), "text": ""})

    def _system(self, event: Mapping[str, Any]) -> Iterator[Fact]:
        subtype = word(event.get("subtype"))
        if subtype == "init":
            names = {"session_id": "session_id", "model": "model", "claude_code_version": "version"}
            yield Fact(
                "session", {ours: one_line(word(event.get(its))) for its, ours in names.items()}
            )
        elif subtype == "api_retry":
            yield Fact("retry", _retry(event))
        else:
            self._end.note_system(subtype)
            content = one_line(word(event.get("content")))
            yield Fact("raw", {"type": one_line(f"system/{subtype}"), "text": content})

    def _assistant(self, event: Mapping[str, Any]) -> Iterator[Fact]:
        message = mapping(event.get("message"))
        if event.get("error"):
            self._end.note_error(event)
            said = readable(_joined(message))
            yield Fact("error", {"text": said, "error": one_line(word(event.get("error")))})
            return
        for block in entries(message.get("content")):
            yield from self._block(block)
        yield from self._count(one_line(word(message.get("id"))), mapping(message.get("usage")))

    def _block(self, block: Mapping[str, Any]) -> Iterator[Fact]:
        kind = block.get("type")
        if kind == "text" and (text := readable(word(block.get("text")))):
            yield Fact("text", {"text": text})
        elif kind == "thinking" and (text := readable(word(block.get("thinking")))):
            yield Fact("thought", {"text": text})
        elif kind == "tool_use":
            tool, given = one_line(word(block.get("name"))), mapping(block.get("input"))
            summary = self._summary(tool, given)
            number = one_line(word(block.get("id")))
            path = one_line(self._short(word(given.get(_WRITES.get(tool, "")))), 1000)
            _remember(self._tools, number, (tool, summary, path))
            data = {"tool": tool, "id": number, "summary": summary, "subject": used_on(given)}
            yield Fact("tool_started", data)

    def _user(self, event: Mapping[str, Any]) -> Iterator[Fact]:
        created = deep(event, "tool_use_result", "type") == "create"
        for block in entries(mapping(event.get("message")).get("content")):
            if block.get("type") != "tool_result":
                continue
            number = one_line(word(block.get("tool_use_id")))
            tool, summary, path = self._tools.pop(number, ("", "", ""))
            ok = block.get("is_error") is not True
            if not ok:
                summary = one_line(f"{summary}: {_joined(block)}")
            data = {"tool": tool, "id": number, "ok": ok, "summary": summary}
            yield Fact("tool_finished", data)
            if ok and tool in _WRITES:
                yield Fact("file", {"path": path, "action": "created" if created else "modified"})

    def _rate_limit(self, info: Mapping[str, Any]) -> Iterator[Fact]:
        retry_at = self._end.note_limit(info)
        kind = one_line(word(info.get("rateLimitType")))
        if retry_at is not None or info.get("status") == "rejected":
            yield Fact("rate_limit", {"retry_at": retry_at, "limit": kind})
            return
        used = f"{money(info.get('utilization')):.0%} of the {kind} limit used"
        yield Fact("raw", {"type": "rate_limit_event", "text": used})

    def _result(self, event: Mapping[str, Any]) -> Iterator[Fact]:
        self._end.note_result(event)
        turn = _tokens(mapping(event.get("usage")))
        self._finished += turn if turn != Usage() else self._open
        self._messages, self._open = {}, Usage()
        yield self._totals(self._whole(event))
        data = {
            "ok": self._end.succeeded,
            "text": readable(word(event.get("result"))),
            "turns": count(event.get("num_turns")),
            "denied": len(entries(event.get("permission_denials"))),
        }
        yield Fact("finished", data)

    def _whole(self, event: Mapping[str, Any]) -> Usage:
        """The run's totals after a turn: the session's, less what it had used before the run.

        Without the session's earlier use only the turns' own tokens can be told apart.
        """
        models = mapping(event.get("modelUsage")).values()
        session = sum((_model_tokens(mapping(model)) for model in models), Usage())
        cost = money(event.get("total_cost_usd"))
        if self._before is None:
            return replace(session if session != Usage() else self._finished, cost_usd=cost)
        return replace(self._finished, cost_usd=max(0.0, cost - self._before.cost_usd))

    def _count(self, number: str, usage: Mapping[str, Any]) -> Iterator[Fact]:
        """Tokens of a message; every line of the same message repeats them."""
        tokens, known = _tokens(usage), self._messages.get(number, Usage())
        if tokens in (known, Usage()):
            return
        if len(self._messages) >= REMEMBERED:
            self._finished += self._open
            self._messages, self._open, known = {}, Usage(), Usage()
        self._messages[number] = tokens
        self._open = Usage(
            self._open.input_tokens + tokens.input_tokens - known.input_tokens,
            self._open.output_tokens + tokens.output_tokens - known.output_tokens,
        )
        now = self._finished + self._open
        yield self._totals(replace(now, cost_usd=self._total.cost_usd))

    def _totals(self, total: Usage) -> Fact:
        self._total = total
        data = {"input_tokens": total.input_tokens, "output_tokens": total.output_tokens}
        return Fact("usage", {**data, "cost_usd": total.cost_usd})

    def _summary(self, tool: str, given: Mapping[str, Any]) -> str:
        return use_line(f"{tool} {self._telling(given)}")

    def _telling(self, given: Mapping[str, Any]) -> str:
        for name in _TELLING:
            if isinstance(value := given.get(name), str) and value:
                return self._short(value)
        return next((v for v in given.values() if isinstance(v, str)), "")

    def _short(self, path: str) -> str:
        return path.removeprefix(self._root)


def _without_result(code: int | None) -> Ending:
    return Ending(Outcome.CRASHED, f"{status_words(code)} without a result")


def _retry(event: Mapping[str, Any]) -> dict[str, Any]:
    attempt, most = count(event.get("attempt")), count(event.get("max_retries"))
    error = one_line(word(event.get("error")))
    return {
        "attempt": attempt,
        "of": most,
        "delay_seconds": count(event.get("retry_delay_ms")) / 1000,
        "status": count(event.get("error_status")) or None,
        "text": one_line(f"the service said {error or 'nothing'}; try {attempt} of {most}"),
    }


def _joined(holder: Mapping[str, Any]) -> str:
    """The text in a message or a tool's result, in either of its forms."""
    content = holder.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(word(block.get("text")) for block in entries(content))


def _tokens(usage: Mapping[str, Any]) -> Usage:
    """Tokens read, from the cache or not, and tokens written."""
    read = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return Usage(sum(count(usage.get(name)) for name in read), count(usage.get("output_tokens")))


def _model_tokens(usage: Mapping[str, Any]) -> Usage:
    read = ("inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens")
    return Usage(sum(count(usage.get(name)) for name in read), count(usage.get("outputTokens")))


def _remember(known: dict[str, Any], key: str, value: Any) -> None:
    """Keep a value, and let go of the oldest when there are too many."""
    if len(known) >= REMEMBERED:
        known.pop(next(iter(known)))
    known[key] = value
