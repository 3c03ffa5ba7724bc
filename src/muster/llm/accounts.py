"""How often a project may ask its models: an account that says stop before a bill does."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Protocol

from muster.domain.errors import NoAnswer, Silence

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
    """So many requests in any hour, counted in memory: a server that starts anew begins anew."""

    def __init__(
        self,
        limit: Callable[[str], int] = lambda _project: CALLS_PER_HOUR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._clock = limit, clock
        self._made: defaultdict[str, deque[float]] = defaultdict(deque)

    async def take(self, project: str) -> None:
        """Note one request of a project; the raised error says when the next may be made."""
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
        made.append(now)
