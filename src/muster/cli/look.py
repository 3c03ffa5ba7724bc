"""How things look to people: states, times, money, tables and sections as plain text."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from unicodedata import east_asian_width

from muster.domain.plain import plain_line

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35}

STATES: dict[str, tuple[str, str, str]] = {
    "waiting": ("◆", "needs you", "yellow"),
    "proposed": ("◆", "proposed", "yellow"),
    "failed": ("⬣", "failed", "red"),
    "planning": ("◔", "planning", "blue"),
    "executing": ("◔", "executing", "blue"),
    "monitoring": ("◐", "checking", "magenta"),
    "blocked": ("⊖", "blocked", "dim"),
    "queued": ("◌", "queued", "dim"),
    "completed": ("✓", "completed", "green"),
    "cancelled": ("–", "cancelled", "dim"),
    "starting": ("◔", "starting", "blue"),
    "running": ("◔", "running", "blue"),
    "timeout": ("⬣", "timeout", "red"),
    "killed": ("–", "killed", "dim"),
    "ok": ("✓", "ok", "green"),
    "warn": ("!", "warn", "yellow"),
    "fail": ("✗", "fail", "red"),
    "note": ("·", "note", "dim"),
    "wait": ("◆", "wait", "yellow"),
    "ask": ("◆", "ask", "yellow"),
    "abstain": ("?", "unknown", "yellow"),
    "veto": ("✗", "veto", "red"),
}
"""Every state's shape, word and colour; the shape and the word say all without the colour."""


class Ink:
    """Text with colour, or the same text without."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def paint(self, style: str, text: str) -> str:
        """`text` in a style of the table above."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self._colour and text else text

    def state(self, name: str) -> str:
        """A state as shape and word."""
        shape, word, style = STATES.get(name, ("·", plain_line(name), "dim"))
        return self.paint(style, f"{shape} {word}")

    def mark(self, name: str) -> str:
        """A state's shape alone, where its word stands beside it anyway."""
        shape, _, style = STATES.get(name, ("·", "", "dim"))
        return self.paint(style, shape)


def width(text: str) -> int:
    """The columns that one printable line takes, colour not counted."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    columns, inside = 0, False
    for character in text:
        if character == "\x1b":
            inside = True
        elif inside:
            inside = character != "m"
        else:
            columns += 2 if east_asian_width(character) in "WF" else 1
    return columns


def cut(text: str, columns: int) -> str:
    """One printable line without colour, shortened with an ellipsis to fit."""
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for character in text:
        used += 2 if east_asian_width(character) in "WF" else 1
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def terminal_columns() -> int | None:
    """The width of the terminal, or None when the output is not shown on one."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else None
    except (OSError, ValueError):
        return None


def table(ink: Ink, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns under a head; on a terminal the last column is cut to fit."""
    lines = [list(row) for row in rows]
    wide = [max(width(row[n]) for row in [head, *lines]) for n in range(len(head) - 1)]
    columns = terminal_columns()
    if columns is not None:
        room = max(10, columns - sum(wide) - 2 * len(wide))
        lines = [[*row[:-1], cut(row[-1], room)] for row in lines]
    shown = [ink.paint("dim", _row(head, wide)), *(_row(row, wide) for row in lines)]
    return "\n".join(shown)


def _row(cells: Sequence[str], wide: Sequence[int]) -> str:
    padded = [cell + " " * (wide[n] - width(cell)) for n, cell in enumerate(cells[:-1])]
    return "  ".join([*padded, cells[-1]]).rstrip()


def facts(ink: Ink, pairs: Iterable[tuple[str, str]], indent: str = "  ") -> str:
    """Names and values in two columns; pairs without a value are left out."""
    given = [(name, value) for name, value in pairs if value]
    wide = max((len(name) for name, _ in given), default=0)
    return "\n".join(f"{indent}{ink.paint('dim', name.ljust(wide))}  {v}" for name, v in given)


def indented(text: str, indent: str = "  ") -> str:
    """Every line of a text moved to the right."""
    return "\n".join(f"{indent}{line}".rstrip() for line in text.splitlines())


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for unit, size, below, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {below}" if rest else "")
    if whole >= 60:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole} s"


def _epoch(text: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def ago(text: str | None) -> str:
    """A time of the API as its distance from now; empty when there is none."""
    then = _epoch(text)
    if then is None:
        return ""
    away = time.time() - then
    if abs(away) < 1:
        return "just now"
    if away < 0:
        return f"in {_coarse(-away)}"
    return f"{_coarse(away)} ago"


def _coarse(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def between(start: str | None, end: str | None) -> str:
    """How long something took, or has taken so far; empty when it has not begun."""
    begun = _epoch(start)
    if begun is None:
        return ""
    return duration((_epoch(end) or time.time()) - begun)


def money(usd: float | None) -> str:
    """A cost; one below a cent is said to be so."""
    if not usd:
        return "$0"
    return f"${usd:,.2f}" if usd >= 0.01 else "<$0.01"


def some(value: object) -> str:
    """A value of the server's as one printable line; nothing for None."""
    return "" if value is None else plain_line(str(value))
