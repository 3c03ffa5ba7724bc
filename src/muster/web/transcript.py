"""Lines of a structured channel as the words in them; every other line stays as it is.

Known is the stream-json dialect: one JSON object per line with `type` system, assistant, user or
result. `static/transcript.js` does the same in the browser; both read the cases in
`tests/web/transcript_cases.json`. The log file keeps what the program really wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from muster.web.phrases import plain, visible

DIM, GREEN, RED, BLUE, PURPLE, BOLD, END = (
    f"\x1b[{code}m" for code in ("2", "32", "31", "34", "35", "1", "0")
)
RESULT_LINES = 6
_TELLING = ("command", "file_path", "notebook_path", "pattern", "url", "query", "path")
_TELLING_MORE = ("description", "prompt", "skill")


def _clip(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _indented(text: str, first: str, rest: str) -> str:
    return ("\n" + rest).join(visible(text).strip().split("\n")).join((first, "\n"))


def _blocks(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    message = event.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    for block in content if isinstance(content, list) else ():
        if isinstance(block, Mapping):
            yield block


def _said(block: Mapping[str, Any]) -> str:
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str) and block["text"].strip():
        return _indented(block["text"], f"{PURPLE}●{END} ", "  ")
    if kind == "thinking" and isinstance(block.get("thinking"), str):
        return f"{DIM}  {_clip(plain(block['thinking']), 240)}{END}\n"
    if kind == "tool_use":
        return _tool(block)
    return ""


def _tool(block: Mapping[str, Any]) -> str:
    name, given = plain(block.get("name")), block.get("input")
    given = given if isinstance(given, Mapping) else {}
    told = next(
        (given[k] for k in (*_TELLING, *_TELLING_MORE) if isinstance(given.get(k), str)), ""
    )
    if isinstance(given.get("command"), str):
        return _indented(_clip(told, 2000), f"{GREEN}${END} ", "  ")
    return f"{BLUE}{name}{END} {_clip(plain(told), 240)}\n"


def _assistant(event: Mapping[str, Any]) -> str:
    return "".join(_said(block) for block in _blocks(event))


def _user(event: Mapping[str, Any]) -> str:
    return "".join(_returned(b) for b in _blocks(event) if b.get("type") == "tool_result")


def _returned(block: Mapping[str, Any]) -> str:
    content = block.get("content")
    if isinstance(content, list):
        texts = [b.get("text") for b in content if isinstance(b, Mapping)]
        content = "\n".join(t for t in texts if isinstance(t, str))
    lines = visible(content).strip().split("\n") if isinstance(content, str) else []
    lines = [_clip(line, 400) for line in lines if line.strip()]
    colour = RED if block.get("is_error") is True else DIM
    told = "".join(f"{colour}  {line}{END}\n" for line in lines[:RESULT_LINES])
    more = len(lines) - RESULT_LINES
    return told + (f"{DIM}  … {more} more lines{END}\n" if more > 0 else "")


def _system(event: Mapping[str, Any]) -> str:
    if event.get("subtype") != "init":
        return ""
    return f"{DIM}session begun · {plain(event.get('model'))}{END}\n"


def _result(event: Mapping[str, Any]) -> str:
    bad = event.get("is_error") is True
    text = event.get("result")
    first = f"{RED}✗{END} " if bad else f"{GREEN}✓{END} "
    return _indented(text if isinstance(text, str) and text.strip() else "ended", first, "  ")


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "system": _system,
    "assistant": _assistant,
    "user": _user,
    "result": _result,
    "rate_limit_event": lambda _: "",
    "stream_event": lambda _: "",
}


def words(line: str) -> str | None:
    """What one line of the dialect says, with its line ends; None for any other line."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kind = event.get("type") if isinstance(event, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        return None
    return _KINDS[kind](event)


def transcribe(text: str) -> tuple[str, str]:
    """Some output as words, and the unfinished line at its end that may yet become an object."""
    *whole, rest = text.split("\n")
    told = []
    for line in whole:
        said = words(line) if line.startswith("{") else None
        told.append(f"{line}\n" if said is None else said)
    held = rest if rest.startswith("{") else ""
    return "".join(told) + ("" if held else rest), held
