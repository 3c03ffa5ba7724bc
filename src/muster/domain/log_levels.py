"""How much of the log is written: one level for all, and others for rooms by their names."""

from __future__ import annotations

from collections.abc import Mapping

from muster.domain.errors import Invalid

LEVELS = ("debug", "info", "warning", "error", "critical")
ROOMS = frozenset(
    {
        *("access", "agents", "api", "engine", "forge", "gate", "knowledge", "llm", "mcp"),
        *("notify", "runtimes", "service", "store", "supervision", "uvicorn", "web", "wiring"),
        *("workspace",),
    }
)
"""Who may be named: muster's rooms, the requests that came in (`access`), and the HTTP server."""
OTHERS = ""
"""The name that stands for all who are not named."""


def levels_of(text: str) -> Mapping[str, str]:
    """The levels in `info,store=debug` by name; the one of `OTHERS` is always there.

    Raises:
        Invalid: a part is no level, names no room, or says again what another said.
    """
    found: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, named, level = (word.strip() for word in part.rpartition("="))
        if level not in LEVELS or (named and name not in ROOMS) or name in found:
            raise _unclear(part, level, name)
        found[name] = level
    return {OTHERS: "info", **found}


def _unclear(part: str, level: str, name: str) -> Invalid:
    hint = f"levels: {', '.join(LEVELS)}; for example info,store=debug"
    if level in LEVELS and name and name not in ROOMS:
        hint = f"rooms: {', '.join(sorted(ROOMS))}"
    return Invalid(f"log_level cannot be read at '{part[:60]}'", hint=hint)
