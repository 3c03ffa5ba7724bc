"""The terminals of runs that somebody looks at now, each opened once for all who look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from muster.runtimes.screens import Shows
from muster.service.terminal import Terminal, Viewer


class Screens:
    """What is open."""

    def __init__(self, places: Mapping[str, Shows]) -> None:
        """Know the runtimes whose runs have screens, by name."""
        self._places = places
        self._open: dict[str, Terminal] = {}
        self._opening = asyncio.Lock()

    def shown_by(self, runtime: str) -> bool:
        """Whether this runtime shows its runs."""
        return runtime in self._places

    @asynccontextmanager
    async def look(
        self, run_dir: Path, runtime: str, who: str, name: str, offset: int | None
    ) -> AsyncIterator[Viewer]:
        """Look at a run's terminal, from an offset of the terminal of this name if it is that.

        Raises:
            Refused: the run is over, or cannot be shown.
            Unavailable: what shows it is not on this machine.
        """
        key = run_dir.name
        async with self._opening:
            terminal = self._open.get(key)
            if terminal is None or terminal.gone:
                terminal = Terminal(await self._places[runtime].screen(run_dir))
                self._open[key] = terminal
            viewer = Viewer(terminal, who, offset if name == terminal.name else None)
        try:
            yield viewer
        finally:
            viewer.leave()
            if not terminal.viewers:
                if self._open.get(key) is terminal:
                    del self._open[key]
                await terminal.close()
