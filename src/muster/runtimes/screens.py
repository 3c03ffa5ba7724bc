"""What a place offers that shows its runs on a terminal: to look, and to type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Picture:
    """What a screen shows: its lines, those that have left it above them first.

    The cursor stands in the last line, in `column`. What `Screen.read` gives from byte `at` on
    belongs behind it.
    """

    lines: tuple[str, ...]
    column: int
    at: int


class Screen(Protocol):
    """The terminal of one run."""

    async def read(self) -> bytes:
        """What it shows next, as it would be written to a terminal; empty when it has gone."""
        ...

    async def picture(self) -> Picture:
        """What it shows now.

        Raises:
            Refused: it has gone.
        """
        ...

    async def type(self, data: bytes) -> None:
        """Press these keys.

        Raises:
            Refused: it has gone.
        """
        ...

    async def resize(self, columns: int, rows: int) -> None:
        """Give it the size of a terminal.

        Raises:
            Refused: it has gone.
        """
        ...

    async def close(self) -> None:
        """Look at it no more."""
        ...


@runtime_checkable
class Shows(Protocol):
    """A runtime whose runs have screens."""

    async def screen(self, run_dir: Path) -> Screen:
        """The screen of a run.

        Raises:
            Refused: the run is over, or cannot be shown.
            Unavailable: what shows it is not on this machine.
        """
        ...
