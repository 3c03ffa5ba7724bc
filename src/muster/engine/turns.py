"""Who goes first: starting an agent before judging one, because a free slot waits for the start.

When several agents end at once, their verdicts and the starts of those that waited for their slots
want the same processors. A verdict that lets the starts go ahead costs nobody anything: the
processors are idle again as soon as the agents run.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Turns:
    """What is being started, and what the engine's last look at the store saw.

    `longest` is how many seconds a verdict waits at most: a start may have to run a setup command.
    """

    longest: float = 0.5
    _starting: set[str] = field(default_factory=set)
    _seen: int = 0
    _some_wait: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def looked(self, seen: int, some_wait: bool, admitted: Iterable[str]) -> None:
        """Tell of a look that saw the events up to `seen`, and tasks that waited for a slot."""
        self._seen, self._some_wait = seen, some_wait
        self._starting.update(admitted)
        self._tell()

    def started(self, task_id: str) -> None:
        """Tell that a task's agent runs, or that it will not."""
        if task_id in self._starting:
            self._starting.discard(task_id)
            self._tell()

    async def after_starts(self, rev: int) -> None:
        """Return when those have started that could once event `rev` had freed a slot."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.longest):
                while self._some_wait and self._seen < rev:
                    await self._changed.wait()
                ahead = set(self._starting)
                while ahead & self._starting:
                    await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
