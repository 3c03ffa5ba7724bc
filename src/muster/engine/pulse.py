"""Whether a run has used processor time: a sign of life that needs no word of its program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from muster.runtimes.base import Runtime

_SMALL = 0.5
"""Seconds; what waits uses some, too."""


@dataclass(slots=True)
class Pulse:
    """Who asks has one of their own."""

    _counted: float = 0.0

    def beats(self, runtime: Runtime, run_dir: Path) -> bool:
        """Whether processor time was used since it last beat.

        Where only living processes can be counted, the count falls as one of them ends.
        """
        now = runtime.cpu_seconds(run_dir)
        if abs(now - self._counted) <= _SMALL:
            return False
        self._counted = now
        return True
