"""Who waits to be merged into a branch, in which order, and who of them leads the next train.

All of it is in memory: after a crash each task stands in its stage, and boards again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from muster.domain.task import Task

J = TypeVar("J")
T = TypeVar("T")


async def outcome(work: Awaitable[T]) -> T | Exception:
    """What comes of it: its answer, or the fault it met, which is of one task among several."""
    (found,) = await asyncio.gather(work, return_exceptions=True)
    if isinstance(found, BaseException) and not isinstance(found, Exception):
        raise found
    return found


@dataclass(slots=True, eq=False)
class Car(Generic[J]):
    """A task that waits to be merged; `order` says who goes first, the smallest one.

    `since` is when it came to be merged, in epoch milliseconds. `races` counts how often the branch
    moved under it.
    """

    job: J
    order: tuple[int, int]
    since: int
    races: int = 0
    _turn: asyncio.Event = field(default_factory=asyncio.Event)
    _ending: Task | Exception | None = None

    @property
    def over(self) -> bool:
        """Whether it has left, one way or the other."""
        return self._ending is not None

    def left(self, how: Task | Exception) -> None:
        """It waits no more: the task as its move left it, or why it could not be moved."""
        if self._ending is None:
            self._ending = how
            self._turn.set()


Lead = Callable[[Car[J], Sequence[Car[J]]], Awaitable[None]]
"""Takes one train: given who leads, and all who wait, first to go first."""


@dataclass(slots=True)
class Platform(Generic[J]):
    """Those that wait at one branch. One of them leads at a time, and others board meanwhile."""

    _cars: list[Car[J]] = field(default_factory=list)
    _leader: Car[J] | None = None

    @property
    def waiting(self) -> list[Car[J]]:
        """Those that have boarded and not left, first to go first."""
        return sorted((car for car in self._cars if not car.over), key=lambda car: car.order)

    async def ride(self, car: Car[J], lead: Lead[J]) -> Task:
        """Wait until the car has left, and lead a train whenever it is its turn to.

        Raises:
            Whatever kept it from being merged.
        """
        self._cars.append(car)
        try:
            while True:
                self._call()
                await car._turn.wait()
                if isinstance(car._ending, Exception):
                    raise car._ending
                if car._ending is not None:
                    return car._ending
                await lead(car, self.waiting)
                self._leader = None
                if not car.over:
                    car._turn.clear()
        finally:
            self._cars.remove(car)
            if self._leader is car:
                self._leader = None
            self._call()

    def _call(self) -> None:
        """Have somebody lead, if anybody waits and nobody does."""
        if self._leader is None and self.waiting:
            self._leader = self.waiting[0]
            self._leader._turn.set()
