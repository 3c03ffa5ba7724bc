"""What a run ran into, told as events of its task: its limits, and places that it may not reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from muster.runtimes.base import Exit

MOST_REFUSALS = 20
LIMIT, REFUSED = "limit.reached", "network.refused"
_LIMITS = {
    "memory": "processes of it were killed, because it used more memory than memory_mb allows",
    "processes": "it was refused more processes than it may have at a time: `processes`",
    "file": "it was ended because a file grew larger than it may be",
    "disk": "it was ended because it wrote more to the disk than disk_mb allows",
}


def limits_reached(exit_: Exit) -> Iterator[Mapping[str, Any]]:
    """The limits that a run ran into, also where it went on all the same."""
    for limit in exit_.limits:
        yield {"limit": limit, "text": _LIMITS.get(limit, "")}
