"""Facts from what Codex reports of a turn: its items, its plan, its errors.

Shapes of version 2 of the app-server's protocol, as 0.169.0 generates and prints them:
    agentMessage      {id, text}
    reasoning         {id, summary: [text]}
    commandExecution  {id, command, status, exitCode, aggregatedOutput}
    fileChange        {id, status, changes: [{path, kind: {type: add|delete|update}, diff}]}
    mcpToolCall       {id, server, tool, arguments, status, error: {message}}
    webSearch         {id, query}
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from muster.agents.base import Fact
from muster.agents.said import SUBJECT, one_line, readable, use_line, used_on
from muster.agents.stream_json_values import count, deep, entries, mapping, word

Item = Mapping[str, Any]

_ACTIONS = {"add": "created", "delete": "deleted", "update": "modified"}
_STATUSES = {"inProgress": "in_progress"}
_LONGEST_COMMAND = 4 * SUBJECT


def summary(item: Item, root: str) -> tuple[str, str]:
    """The tool that an item is a use of, and what it does, on one line; nothing for other items."""
    match item.get("type"):
        case "commandExecution":
            return "shell", use_line(f"shell {word(item.get('command'))}")
        case "fileChange":
            paths = [word(c.get("path")).removeprefix(root) for c in entries(item.get("changes"))]
            return "edit", use_line(f"edit {', '.join(paths)}")
        case "mcpToolCall":
            tool = one_line(f"{word(item.get('server'))}.{word(item.get('tool'))}")
            return tool, tool
        case "webSearch":
            return "search", use_line(f"search {word(item.get('query'))}")
        case _:
            return "", ""


def started(item: Item, root: str) -> Iterator[Fact]:
    """An item that is a use of a tool begins."""
    tool, words = summary(item, root)
    if tool:
        number = one_line(word(item.get("id")))
        data = {"tool": tool, "id": number, "summary": words, "subject": used_on(item)}
        yield Fact("tool_started", data)


def completed(item: Item, root: str) -> Iterator[Fact]:
    """An item is whole."""
    kind = item.get("type")
    if kind == "agentMessage" and (text := readable(word(item.get("text")))):
        yield Fact("text", {"text": text})
    elif kind == "reasoning":
        parts = item.get("summary")
        said = "\n".join(word(part) for part in parts) if isinstance(parts, list) else ""
        if text := readable(said):
            yield Fact("thought", {"text": text})
    else:
        yield from _finished(item, root)


def _finished(item: Item, root: str) -> Iterator[Fact]:
    tool, words = summary(item, root)
    if not tool:
        return
    ok = item.get("status", "completed") == "completed" and item.get("exitCode", 0) in (0, None)
    if not ok:
        said = word(item.get("aggregatedOutput")) or word(deep(item, "error", "message"))
        why = said or word(item.get("status")) or f"status {count(item.get('exitCode'))}"
        words = one_line(f"{words}: {why}")
    number = one_line(word(item.get("id")))
    yield Fact("tool_finished", {"tool": tool, "id": number, "ok": ok, "summary": words})
    for change in entries(item.get("changes")) if ok else ():
        path = one_line(word(change.get("path")).removeprefix(root), 1000)
        action = _ACTIONS.get(word(deep(change, "kind", "type")), "modified")
        yield Fact("file", {"path": path, "action": action})


def plan(steps: Any) -> Fact:
    """A plan as its steps."""
    told = [
        {
            "text": one_line(word(step.get("step"))),
            "status": _STATUSES.get(word(step.get("status")), one_line(word(step.get("status")))),
        }
        for step in entries(steps)[:50]
    ]
    return Fact("plan", {"steps": told})


def http_status(info: Any) -> int | None:
    """The status of the service that an error of a turn names, in whichever of its forms."""
    named = {"unauthorized": 401, "usageLimitExceeded": 429, "rateLimitExceeded": 429}
    named |= {"serverOverloaded": 529, "internalServerError": 500}
    if isinstance(info, str):
        return named.get(info)
    inner = next(iter(mapping(info).values()), None)
    return count(mapping(inner).get("httpStatusCode")) or None


def typed(command: str) -> str:
    """A command as the model typed it, without the shell that Codex puts before it.

    One that is too long to be judged stays as it is: to take it apart would take too long as well.
    """
    if len(command) > _LONGEST_COMMAND:
        return command
    try:
        parts = shlex.split(command)
    except ValueError:
        return command
    shell = len(parts) == 3 and parts[0].endswith("sh") and parts[1] in {"-c", "-lc"}
    return parts[2] if shell else command
