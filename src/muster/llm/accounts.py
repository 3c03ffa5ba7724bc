"""How often a project may ask its models: an account that says stop before a bill does."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Protocol

from muster.domain.errors import NoAnswer, Silence
from muster.llm.ledger import Ledger

HOUR = 3600.0
CALLS_PER_HOUR = 100


class Account(Protocol):
    """Counts requests. Retries and repairs count too, because they cost."""

    async def take(self, project: str) -> None:
        """Note one request of a project.

        Raises:
            NoAnswer: it may not make one now; `Silence.CALLS`, with the seconds until it may.
        """
        ...


class Hourly:
    """So many requests in any hour; with a ledger also over the end of a server, however it came.

    Without one a server that starts anew begins anew.
    """

    def __init__(
        self,
        limit: Callable[[str], int] = lambda _project: CALLS_PER_HOUR,
        clock: Callable[[], float] = time.monotonic,
        ledger: Ledger | None = None,
    ) -> None:
        self._limit, self._clock, self._ledger = limit, clock, ledger
        self._made: defaultdict[str, deque[float]] = defaultdict(deque)
        self._knows = ledger is None
        self._one = asyncio.Lock()

    async def take(self, project: str) -> None:
        """Note one request of a project; the raised error says when the next may be made.

        Where it cannot be noted for good it may not be made.
        """
        async with self._one:
            try:
                if self._ledger and not self._knows:
                    await self._remember(self._ledger)
                self._refuse_more(project)
                if self._ledger:
                    await asyncio.to_thread(self._ledger.note, project)
            except OSError as error:
                raise NoAnswer(
                    f"requests to models cannot be counted: {error.strerror or error}",
                    why=Silence.CALLS,
                    hint="see whether the disk of muster's home is full, or is not to be written",
                ) from error
            self._made[project].append(self._clock())

    async def _remember(self, ledger: Ledger) -> None:
        before, now = await asyncio.to_thread(ledger.begin), self._clock()
        for project, age in sorted(before, key=lambda noted: -noted[1]):
            self._made[project].append(now - age)
        self._knows = True

    def _refuse_more(self, project: str) -> None:
        now, made, most = self._clock(), self._made[project], self._limit(project)
        while made and made[0] <= now - HOUR:
            made.popleft()
        if len(made) >= most:
            after = made[len(made) - most] + HOUR - now if most else None
            raise NoAnswer(
                f"the project has asked its models {len(made)} times in the last hour, "
                f"and may {most} times",
                why=Silence.CALLS,
                after=after,
                hint="wait, or raise model_calls_per_hour",
            )
