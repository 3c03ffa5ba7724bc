"""The queue's settings: what holds work back, fleet-wide."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """`paused` and `max_concurrent` hold everything; `stop_on_failure` holds the ordered list.

    `stopped_by` is the listed task whose failure holds the list now; resume clears it,
    and so does another try of that task.
    """

    paused: bool = False
    stop_on_failure: bool = True
    max_concurrent: int = 1
    stopped_by: str | None = None
    rev: int = 0
