"""What a program said, made fit to show: whole lines, valid text, no control characters."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from muster.domain.plain import pictured

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of one line that are kept; single lines of hundreds of kilobytes are ordinary."""

TEXT = 4000
"""Characters of a text that a fact carries at most."""

SUMMARY = 160
"""Characters of a live line at most."""

ENTRIES = 20
"""Entries of an object or a list that a view shows at most."""

LARGEST = 2**53

SUBJECT = 8000
"""Characters of what a tool is used on, up to which rules judge it."""

_COMMANDS = ("command", "cmd")
_PLACES = ("file_path", "filePath", "absolute_path", "notebook_path", "path", "url", "query")

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
)
# C0 but for tab and newline, DEL, C1, what changes the direction of text, and lone surrogates.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Lines:
    """Cuts a stream of bytes that comes in pieces of any size into lines."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines completed by these bytes, without their ends."""
        *whole, rest = data.split(b"\n")
        lines = []
        for part in whole:
            self._keep(part)
            lines.append(self.rest())
        self._keep(rest)
        return lines

    def rest(self) -> bytes:
        """What stands after the last line's end; it is forgotten here."""
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        return line

    def _keep(self, part: bytes) -> None:
        kept = part[: self._longest - self._size]
        if kept:
            self._parts.append(kept)
            self._size += len(kept)


def readable(text: str, longest: int = TEXT) -> str:
    """A text without escape sequences and control characters, cut to `longest` characters."""
    # Cut twice, so that a text of megabytes is not searched through for what is thrown away.
    return _cut(_UNFIT.sub("", _ESCAPES.sub("", text[: 4 * longest])).strip(), longest)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def one_line(text: str, longest: int = SUMMARY) -> str:
    """A text on one line, for a live view."""
    return readable(" ".join(readable(text, 4 * longest).split()), longest)


def use_line(text: str) -> str:
    """What a tool is used for, on one line; a person decides by it, so that nothing in it hides."""
    return one_line(pictured(text[: 16 * SUMMARY]))


def small(value: Any, depth: int = 4, longest: int = 2000) -> Any:
    """A stranger's JSON value cut to what a view needs: texts, lists and levels of it.

    Each level is allowed a part of the whole, so that no shape of it grows past some 20 kB. A
    person decides by it, so that what would hide or be hidden on a screen is shown by a sign.
    """
    match value:
        case str():
            return _cut(pictured(value[: 4 * longest]).strip(), longest)
        case bool() | None:
            return value
        case int() | float():
            return value if -LARGEST <= value <= LARGEST else None
        case dict() if depth:
            most = list(value.items())[:ENTRIES]
            share = max(20, longest // max(1, len(most) // 4))
            return {one_line(str(k), 60): small(v, depth - 1, share) for k, v in most}
        case list() if depth:
            share = max(20, longest // max(1, len(value[:ENTRIES]) // 4))
            return [small(v, depth - 1, share) for v in value[:ENTRIES]]
        case _:
            return "…"


def used_on(given: Mapping[str, Any], root: str = "") -> str:
    """The same as `subject`, made fit to be kept and shown; empty where it is too long."""
    return readable(subject(given, root) or "", SUBJECT)


def subject(given: Mapping[str, Any], root: str = "") -> str | None:
    """What a tool is to be used on, word for word: its command, else its path, else all of it.

    Paths are those of changes where it has some, a line each; below `root` they are relative. None
    when it is too long to be judged.
    """
    command = next((v for n in _COMMANDS if (v := given.get(n))), None)
    changes = None if command else given.get("changes")
    found = command or next((v for n in _PLACES if (v := given.get(n))), None)
    if isinstance(changes, list) and changes:
        paths = [c.get("path") if isinstance(c, Mapping) else None for c in changes]
        texts = [path.removeprefix(root) for path in paths if isinstance(path, str)]
        text = "\n".join(texts) if len(texts) == len(paths) else as_json(changes)
    elif isinstance(found, str):
        text = found.removeprefix(root)
    elif isinstance(found, list) and all(isinstance(part, str) for part in found):
        text = shlex.join(found)
    else:
        text = as_json(given)
    return text if text is not None and len(text) <= SUBJECT else None


def as_json(value: Any) -> str | None:
    """A stranger's value as JSON; None where it is nested too deeply to be written again."""
    try:
        return json.dumps(value, sort_keys=True)
    except RecursionError:
        return None
