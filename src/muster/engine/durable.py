"""The port to what keeps stages running: five verbs, so that the engine below can be replaced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from muster.domain.task import Stage, Task

Work = Callable[[Task], Awaitable[Task]]
"""One stage of one claimed task; returns the task as its move left it.

A stage may be run again after a crash, from its beginning, so that all it does outside the store
is either looked for first or keyed by the run (`docs/decisions/0001-durable-engine.md`).
"""


class Durable(Protocol):
    """Runs the stages of claimed tasks, each claim by one worker at a time."""

    def register(self, stage: Stage, work: Work) -> None:
        """Say what a stage does."""
        ...

    def enqueue(self, task: Task) -> None:
        """Work on a claimed task from the stage it stands in; a claim at work is left alone."""
        ...

    def cancel(self, task_id: str) -> None:
        """Stop the worker of a task where it stands; its run directory is not touched."""
        ...

    def live(self) -> frozenset[str]:
        """Ids of the tasks that a worker holds in this process."""
        ...

    async def takeover(self) -> int:
        """Claim what a dead process of this home still held, and work on it; how many."""
        ...

    async def close(self) -> None:
        """Stop all workers where they stand; what they did is in the store or done again."""
        ...
