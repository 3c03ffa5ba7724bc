"""A unified patch as rows with line numbers, and the words that differ in a changed line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from muster.domain.plain import pictured
from muster.web.phrases import visible

HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)$")
WORD = re.compile(r"\w+|\s+|.", re.DOTALL)
OPEN_LINES = 500
"""A file with more changed lines than this is opened only when asked for."""
PAGE_LINES = 4000
"""No more lines than this are opened on one page by themselves."""
MADE = re.compile(r"(^|/)(dist|vendor|node_modules)/|\.min\.(js|css)$|(^|/)[\w.-]*lock(\.\w+)?$")
"""Files that a program wrote; nobody reads them first."""


@dataclass(slots=True)
class Line:
    """One row: `kind` is `a` added, `r` removed, `` kept or `h` a hunk's heading."""

    kind: str
    number: int | None
    before: str
    marked: str = ""
    after: str = ""

    @property
    def text(self) -> str:
        """The whole line."""
        return self.before + self.marked + self.after


@dataclass(slots=True)
class File:
    """One changed file, ready to be drawn; `lines` is empty until it is opened."""

    path: str
    old_path: str
    status: str
    added: int
    removed: int
    binary: bool
    truncated: bool
    closed: str = ""
    lines: list[Line] = field(default_factory=list)


def _agreeing(one: list[str], other: list[str]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def mark(old: Line, new: Line) -> None:
    """Mark the words in the middle that two versions of a line do not share.

    Lines that share less than a third are two different lines, and nothing is marked.
    """
    a, b = WORD.findall(old.text), WORD.findall(new.text)
    head = _agreeing(a, b)
    tail = _agreeing(a[head:][::-1], b[head:][::-1])
    shared = len("".join(a[:head]).strip()) + len("".join(a[len(a) - tail :]).strip())
    if shared * 3 < max(len(old.text.strip()), len(new.text.strip())):
        return
    for line, words in ((old, a), (new, b)):
        end = len(words) - tail
        line.before, line.marked, line.after = (
            "".join(words[:head]),
            "".join(words[head:end]),
            "".join(words[end:]),
        )


def _mark_pairs(lines: list[Line]) -> None:
    """Compare each run of removed lines with the run of added ones that replaces it."""
    at = 0
    while at < len(lines):
        removed = _run(lines, at, "r")
        added = _run(lines, at + len(removed), "a")
        for old, new in zip(removed, added, strict=False):
            mark(old, new)
        at += max(1, len(removed) + len(added))


def _run(lines: list[Line], at: int, kind: str) -> list[Line]:
    found = []
    while at < len(lines) and lines[at].kind == kind:
        found.append(lines[at])
        at += 1
    return found


def rows(patch: str) -> list[Line]:
    """The rows of one file's patch."""
    lines = list(_rows(pictured(patch)))
    _mark_pairs(lines)
    return lines


def _rows(patch: str) -> Iterator[Line]:
    old = new = 0
    inside = False
    for raw in patch.split("\n"):
        if found := HUNK.match(raw):
            old, new, inside = int(found[1]), int(found[2]), True
            yield Line("h", None, found[3])
        elif inside and raw.startswith("+"):
            yield Line("a", new, raw[1:])
            new += 1
        elif inside and raw.startswith("-"):
            yield Line("r", old, raw[1:])
            old += 1
        elif inside and raw.startswith(" "):
            yield Line("", new, raw[1:])
            old, new = old + 1, new + 1


def _why_closed(file: Mapping[str, Any], shown: int) -> str:
    changed = file["added"] + file["removed"]
    if changed > OPEN_LINES:
        return f"{changed:,} changed lines"
    if MADE.search(file["path"]):
        return "written by a program"
    return "many files changed" if shown + changed > PAGE_LINES else ""


def files(diff: Mapping[str, Any], asked: str = "") -> list[File]:
    """Every file of a diff; those small enough, and the one that was `asked` for, are opened."""
    found, shown = [], 0
    for raw in diff["files"]:
        file = File(
            path=raw["path"],
            old_path=raw.get("old_path") or raw["path"],
            status=raw["status"],
            added=raw["added"],
            removed=raw["removed"],
            binary=raw["binary"],
            truncated=raw["truncated"],
            closed="" if visible(raw["path"]) == asked else _why_closed(raw, shown),
        )
        if not file.closed and not file.binary:
            file.lines = rows(raw["patch"] or "")
            shown += len(file.lines)
        found.append(file)
    return found
