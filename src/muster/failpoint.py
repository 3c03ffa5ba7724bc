"""Named points where a test may stop the process dead; free when none is set."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

_armed: dict[str, int] = {}


def arm(spec: str) -> None:
    """Arm points from `name[=count],…`: the count-th pass (default 1) kills the process."""
    for part in filter(None, spec.split(",")):
        name, _, count = part.partition("=")
        _armed[name.strip()] = int(count or 1)


def failpoint_after(events: Iterable[str]) -> None:
    """Die here if a test armed `event.KIND` for the kind of an event that is durable by now."""
    if _armed:
        for kind in events:
            failpoint(f"event.{kind}")


def failpoint(name: str) -> None:
    """Die here with SIGKILL if a test armed this point."""
    if not _armed or name not in _armed:
        return
    _armed[name] -= 1
    if _armed[name] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
