"""The queue as a person would explain it, to hold the real one against: nothing but lists.

Tasks are named by their numbers. `places` is the list as it was last put in order; priorities that
changed since then count before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

OPEN = {"blocked", "queued", "held", "checked"}
"""`held` has a slot, `checked` has none any more and has not ended."""


@dataclass
class One:
    """A task of the model."""

    number: int
    project: str
    priority: int
    needs: set[int]
    stage: str
    attempts: int = 0


@dataclass
class Model:
    """All tasks, the ordered list, and what holds work back."""

    fleet: int
    per_project: dict[str, int]
    tasks: dict[int, One] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)
    paused: bool = False
    stops_on_failure: bool = True
    stopped_by: int | None = None

    def in_stage(self, *stages: str) -> list[int]:
        return [n for n, task in self.tasks.items() if task.stage in stages]

    def add(self, number: int, project: str, priority: int, needs: set[int]) -> str:
        free = all(self.tasks[n].stage == "completed" for n in needs)
        self.tasks[number] = One(number, project, priority, needs, "queued" if free else "blocked")
        return self.tasks[number].stage

    # --- the list ---

    def shown(self) -> list[int]:
        """The list as people see it."""
        return sorted(self.places, key=lambda n: -self.tasks[n].priority)

    def put(self, number: int, place: int | None) -> None:
        """Of all places that leave the list sorted by priority, the nearest to the wanted one."""
        rest = [n for n in self.shown() if n != number]
        best: tuple[int, int] | None = None
        for at in range(len(rest) + 1):
            tried = [*rest[:at], number, *rest[at:]]
            urgent = [-self.tasks[n].priority for n in tried]
            here = 1 + sum(self.tasks[n].stage in OPEN for n in rest[:at])
            away = (abs(here - (place or 10**9)), -at)
            if urgent == sorted(urgent) and (best is None or away < best):
                best = away
        assert best is not None
        self.places = [*rest[: -best[1]], number, *rest[-best[1] :]]

    def order(self, wanted: list[int]) -> None:
        """The open ones in this order; those that ended stay where they are."""
        given = iter(wanted)
        whole = [next(given) if self.tasks[n].stage in OPEN else n for n in self.shown()]
        self.places = sorted(whole, key=lambda n: -self.tasks[n].priority)

    # --- what starts ---

    def may_start(self) -> list[int]:
        """Who waits for nothing but a slot, first to start first."""
        if self.paused:
            return []
        ready = self.in_stage("queued")
        if self.stopped_by is not None:
            ready = [n for n in ready if n not in self.places]
        return sorted(ready, key=self.turn)

    def turn(self, number: int) -> tuple[int, int, int]:
        listed = number in self.places
        return (
            -self.tasks[number].priority,
            1 + self.places.index(number) if listed else 0,
            number,
        )

    def admit(self) -> list[int]:
        """Who starts now, first to start first."""
        started: list[int] = []
        for number in self.may_start():
            task = self.tasks[number]
            held = [self.tasks[n].project for n in self.in_stage("held")]
            here = held.count(task.project)
            if len(held) < self.fleet and here < self.per_project[task.project]:
                task.stage, task.attempts = "held", task.attempts + 1
                started.append(number)
        return started

    # --- what ends ---

    def complete(self, number: int) -> None:
        self.tasks[number].stage = "completed"
        for other in self.tasks.values():
            if other.stage == "blocked" and self._is_free(other):
                other.stage = "queued"

    def end(self, number: int, stage: str) -> set[int]:
        """It and all that wait for it end; those of which one stops the list, if it does so now."""
        before = self.stopped_by
        self.tasks[number].stage = stage
        fell = {number} if stage == "failed" else set()
        for other in self._waiting_for(number):
            fell |= {other.number}
            other.stage = "failed"
        listed = {n for n in fell if n in self.places}
        if before is not None or not self.stops_on_failure:
            return set()
        return {number} if number in listed else listed

    def _waiting_for(self, number: int) -> Iterator[One]:
        ahead = [number]
        while ahead:
            gone = ahead.pop()
            for other in self.tasks.values():
                if other.stage == "blocked" and gone in other.needs:
                    yield other
                    ahead.append(other.number)

    def retry(self, number: int) -> str:
        task = self.tasks[number]
        task.stage = "queued" if self._is_free(task) else "blocked"
        if self.stopped_by == number:
            self.stopped_by = None
        return task.stage

    def _is_free(self, task: One) -> bool:
        return all(self.tasks[n].stage == "completed" for n in task.needs)
