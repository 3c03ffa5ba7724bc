"""Facts from the updates of an ACP session: what is said, planned, done to files, and spent.

Shapes of protocol version 1 (schema 1.19), as Gemini CLI, OpenCode and Qwen Code print them:
    agent_message_chunk, agent_thought_chunk   {content: {type: text, text}}, a few words each
    tool_call, tool_call_update                {toolCallId, title, kind, status, rawInput,
                                               locations: [{path}], content: [{type: diff, path,
                                               oldText, newText} | {type: content, content}]}
    plan                                       {entries: [{content, status}]}
    usage_update                               {used, size, cost: {amount, currency}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from muster.agents.base import Fact
from muster.agents.in_mind import InMind
from muster.agents.said import one_line, readable, small, subject, use_line, used_on
from muster.agents.stream_json_values import deep, entries, mapping, word

Update = Mapping[str, Any]

REMEMBERED = 1000
AT_ONCE = 2000
"""Characters that are gathered before they are told, where nothing else comes between."""

_SAID = {"agent_message_chunk": "text", "agent_thought_chunk": "thought"}
_PATHS = ("file_path", "filePath", "filepath", "absolute_path", "path")
_TELLING = ("command", *_PATHS, "pattern", "url", "query")
_WRITING = {"edit": "modified", "delete": "deleted", "move": "modified"}
_OVER = ("completed", "failed")
_TOLD = "told by muster"


class Updates:
    """Gathers the pieces of what is said, and follows each use of a tool to its end."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._calls = InMind(REMEMBERED)
        self._kind, self._pieces, self._size = "", [""], 0
        self.last_text = ""

    def take(self, update: Update) -> Iterator[Fact]:
        """Facts of one update."""
        name = word(update.get("sessionUpdate"))
        if name in _SAID:
            yield from self._said(_SAID[name], word(deep(update, "content", "text")))
            return
        yield from self.flush()
        if name in {"tool_call", "tool_call_update"}:
            yield from self.call(update)
        elif name == "plan":
            yield Fact("plan", {"steps": [_step(e) for e in entries(update.get("entries"))[:50]]})

    def flush(self) -> Iterator[Fact]:
        """What was gathered, told at once."""
        text = readable("".join(self._pieces))
        kind, self._kind, self._pieces, self._size = self._kind, "", [], 0
        if text:
            if kind == "text":
                self.last_text = text
            yield Fact(kind, {"text": text})

    def call(self, told: Update) -> Iterator[Fact]:
        """A use of a tool, from whichever message tells of it; each tells only what changed."""
        number = one_line(word(told.get("toolCallId")))
        known = self._calls.get(number)
        if known.get("status") in _OVER:
            return
        call = {**known, **{k: v for k, v in told.items() if v not in (None, [], {}, "")}}
        if not known.get(_TOLD) and _is_whole(call):
            call[_TOLD] = True
            tool, summary = self.named(call)
            on = used_on(mapping(call.get("rawInput")) or {"title": word(call.get("title"))})
            data = {"tool": tool, "id": number, "summary": summary, "subject": on}
            yield Fact("tool_started", data)
        self._calls.put(number, call)
        if call.get("status") in _OVER:
            yield from self._finished(number, call)
            self._calls.put(number, {"status": call["status"]})

    def named(self, told: Update) -> tuple[str, str]:
        """The tool, and what it does on one line."""
        call = {**self._calls.get(one_line(word(told.get("toolCallId")))), **told}
        kind, title = one_line(word(call.get("kind"))) or "tool", word(call.get("title"))
        given = mapping(call.get("rawInput"))
        telling = next((word(given[n]) for n in _TELLING if word(given.get(n))), "")
        return kind, use_line(f"{kind} {(telling or title).replace(self._root, '')}")

    def given(self, told: Update) -> tuple[Any, str | None]:
        """What a tool is to be used with, for a person to look at; and its subject, for rules."""
        call = {**self._calls.get(one_line(word(told.get("toolCallId")))), **told}
        diffs = [c for c in entries(call.get("content")) if c.get("type") == "diff"]
        shown = {**mapping(call.get("rawInput")), **({"changes": diffs} if diffs else {})}
        shown = shown or {"title": word(call.get("title"))}
        return small(shown), subject(shown, self._root)

    def _said(self, kind: str, text: str) -> Iterator[Fact]:
        if kind != self._kind or self._size >= AT_ONCE:
            yield from self.flush()
            self._kind = kind
        self._pieces.append(text)
        self._size += len(text)

    def _finished(self, number: str, call: Update) -> Iterator[Fact]:
        tool, summary = self.named(call)
        ok = call.get("status") == "completed"
        if not ok:
            texts = [word(deep(c, "content", "text")) for c in entries(call.get("content"))]
            summary = one_line(f"{summary}: {' '.join(texts).strip() or 'failed'}")
        yield Fact("tool_finished", {"tool": tool, "id": number, "ok": ok, "summary": summary})
        for path, action in self._files(call).items() if ok else ():
            yield Fact(
                "file", {"path": one_line(path.removeprefix(self._root), 1000), "action": action}
            )

    def _files(self, call: Update) -> dict[str, str]:
        diffs = [c for c in entries(call.get("content")) if c.get("type") == "diff"]
        if diffs:
            return {
                word(d.get("path")): "modified" if word(d.get("oldText")) else "created"
                for d in diffs[:100]
            }
        action = _WRITING.get(word(call.get("kind")))
        if action is None:
            return {}
        given = mapping(call.get("rawInput"))
        places = [word(place.get("path")) for place in entries(call.get("locations"))[:100]]
        named = [word(given.get(name)) for name in _PATHS]
        return dict.fromkeys([path for path in places or named if path], action)


def _is_whole(call: Update) -> bool:
    """Whether more than the tool's name is known; Qwen announces a use while it is written."""
    return call.get("status", "pending") != "pending" or any(
        call.get(name) for name in ("rawInput", "content", "locations")
    )


def _step(entry: Update) -> dict[str, str]:
    return {
        "text": one_line(word(entry.get("content"))),
        "status": one_line(word(entry.get("status"))),
    }
