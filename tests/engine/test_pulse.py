"""A run that uses processor time is alive, though its program says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from muster.engine.pulse import Pulse


class Counted:
    """A place that counts what it is told to."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = iter(seconds)

    def cpu_seconds(self, run_dir: Path) -> float:
        return next(self._seconds)


def beats(*seconds: float) -> list[bool]:
    place: Any = Counted(*seconds)
    pulse = Pulse()
    return [pulse.beats(place, Path("run")) for _ in seconds]


def test_it_beats_when_time_was_used_and_not_for_what_waiting_takes() -> None:
    assert beats(0.1, 3.0, 3.2, 3.4, 3.6) == [False, True, False, False, True]


def test_it_beats_when_a_process_ends_that_was_counted_with_the_others() -> None:
    assert beats(40.0, 2.0, 2.1, 3.0) == [True, True, False, True]
