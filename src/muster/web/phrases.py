"""Figures, times and machine words as a person reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86400
_MARKS = {
    "claude": "CC",
    "codex": "CX",
    "gemini": "GM",
    "opencode": "OC",
    "qwen": "QW",
    "aider": "AI",
    "mini": "MI",
    "command": "CM",
    "rehearsal": "RH",
}
_NAMES = {"claude": "Claude Code", "codex": "Codex", "gemini": "Gemini", "opencode": "OpenCode"}
_STEPS = {
    "begin": "to begin",
    "starter": "analysis",
    "coding": "coding",
    "reviewer": "review",
    "merge": "merge",
    "deployer": "deployment",
    "verifier": "verification",
    "auditor": "audit",
    "manager": "managing",
}
# Terminal escapes, control characters, and the marks that reorder text on a screen.
_UNSEEN = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
# Half a pair, which no page can carry: it stands for a byte of a name that is no UTF-8.
_BROKEN = re.compile(r"[\ud800-\udfff]")


def moment(text: str | None) -> datetime | None:
    """The time that an RFC 3339 string names."""
    if not text:
        return None
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def seconds_since(text: str | None, now: datetime) -> float:
    """How long ago something was, never negative; 0 when it has not been."""
    when = moment(text)
    return max(0.0, (now - when).total_seconds()) if when else 0.0


def span(seconds: float | None) -> str:
    """A length of time in words: `40 s`, `12 min`, `1 h 50`, `3 d`."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        hours, rest = divmod(whole // MINUTE, 60)
        return f"{hours} h {rest:02d}" if rest else f"{hours} h"
    return f"{whole // DAY} d"


def age(text: str | None, now: datetime) -> str:
    """How old something is: `now` below a minute, else a span."""
    seconds = seconds_since(text, now)
    return "now" if seconds < MINUTE else span(seconds)


def clock(seconds: float) -> str:
    """A running clock: `08:42`, `1:05:09`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def money(amount: float | None) -> str:
    """US dollars: `$1.84`."""
    return f"${amount or 0:,.2f}"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 task`, `3 tasks`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(octets: float) -> str:
    """A number of bytes: `812 B`, `4.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 1000 or unit == "GB":
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000
    return ""


def mark(agent: str | None) -> str:
    """Two letters for an agent program."""
    return _MARKS.get(agent or "", (agent or "··")[:2].upper())


def agent_name(agent: str | None) -> str:
    """An agent program's name."""
    return _NAMES.get(agent or "", (agent or "agent").replace("-", " ").capitalize())


def step_word(step: str | None) -> str:
    """A step of a playbook in a word."""
    return _STEPS.get(step or "", plain(step))


def plain(text: Any) -> str:
    """One line of what a machine said, without escapes and control characters."""
    return " ".join(_UNSEEN.sub("", str(text or "")).split())


def visible(text: Any) -> str:
    """Text of several lines without escapes and control characters; tabs and breaks stay."""
    return _BROKEN.sub("\ufffd", _UNSEEN.sub("", str(text or "").replace("\r\n", "\n")))


def humane(key: str) -> str:
    """A machine's key as words: `base_commit` → `Base commit`."""
    words = str(key).replace("_", " ").replace(".", " ").strip()
    return words[:1].upper() + words[1:]


def sparkline(series: Sequence[float], width: int = 78, height: int = 22) -> dict[str, Any] | None:
    """The points of a small line chart, or None where there is nothing to draw."""
    if len(series) < 2 or not any(series):
        return None
    low, high = min(series), max(series)
    reach = (high - low) or 1
    step = width / (len(series) - 1)
    points = [(i * step, 19 - 16 * (v - low) / reach) for i, v in enumerate(series)]
    line = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    x, y = points[-1]
    return {
        "line": line,
        "area": f"{line} L{width} {height} L0 {height}Z",
        "x": f"{x - 2:.1f}",
        "y": f"{y:.1f}",
    }
