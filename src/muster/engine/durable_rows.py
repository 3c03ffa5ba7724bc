"""Durable stages on the task rows themselves: a row names the stage, a worker runs it.

The rows already hold all that has to survive (stage, attempt, token); a claim is worked on by one
asyncio task. Measured against DBOS in `docs/decisions/0001-durable-engine.md`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from muster.domain.about import about
from muster.domain.errors import Stale, Unreachable
from muster.domain.task import ACTIVE, Stage, Task
from muster.engine.durable import Work
from muster.store import claims
from muster.store.base import Store

log = logging.getLogger("muster.engine")

FAULTS_ALLOWED = 3
"""How often a stage that raised is tried again before a person is asked."""

FORGIVEN_AFTER = 600.0
"""Seconds after which a place that is away once more is away for the first time.

A stage may last for days, and such a fault is none of its own.
"""


class RowsEngine:
    """One worker per claim, in this process's event loop."""

    def __init__(
        self,
        store: Store,
        on_fault: Callable[[Task, Exception], Awaitable[None]],
        pause_seconds: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Work for `store`; `on_fault` is told of a stage that kept failing."""
        self._store = store
        self._on_fault = on_fault
        self._pause = pause_seconds
        self._clock = clock
        self._work: dict[Stage, Work] = {}
        self._workers: dict[str, tuple[str, asyncio.Task[None]]] = {}

    def register(self, stage: Stage, work: Work) -> None:
        """Say what a stage does."""
        self._work[stage] = work

    def enqueue(self, task: Task) -> None:
        """Start a worker for a claim, unless one is at it."""
        held = self._workers.get(task.id)
        if held is not None and held[0] == task.token and not held[1].done():
            return
        worker = asyncio.get_running_loop().create_task(self._run(task), name=f"walk {task.label}")
        self._workers[task.id] = (task.token, worker)
        worker.add_done_callback(partial(self._forget, task.id))

    def _forget(self, task_id: str, done: asyncio.Task[None]) -> None:
        held = self._workers.get(task_id)
        if held is not None and held[1] is done:
            del self._workers[task_id]

    def cancel(self, task_id: str) -> None:
        """Stop a worker where it stands."""
        held = self._workers.get(task_id)
        if held is not None:
            held[1].cancel()

    def live(self) -> frozenset[str]:
        """Ids of the tasks that are being worked on."""
        return frozenset(self._workers)

    async def takeover(self) -> int:
        """Claim anew what an earlier process held, and go on with it."""
        held = await self._store.write(claims.take_over)
        for task in held:
            self.enqueue(task)
        return len(held)

    async def close(self) -> None:
        """Stop all workers where they stand."""
        workers = [worker for _, worker in self._workers.values()]
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _run(self, task: Task) -> None:
        with about(task=task.label, attempt=task.attempt, project=task.project_id):
            await self._stages(task)

    async def _stages(self, task: Task) -> None:
        faults, last = 0, self._clock()
        while task.stage in ACTIVE:
            try:
                task = await self._work[task.stage](task)
                faults = 0
            except Stale as stale:
                log.info("claim of %s passed on: %s", task.label, stale)
                return
            except Exception as fault:  # a worker must not take the others with it
                now = self._clock()
                anew = isinstance(fault, Unreachable) and now - last > FORGIVEN_AFTER
                faults, last = 1 if anew else faults + 1, now
                log.warning(
                    "stage %s of %s failed (%d of %d): %s",
                    task.stage,
                    task.label,
                    faults,
                    FAULTS_ALLOWED,
                    fault,
                    exc_info=faults >= FAULTS_ALLOWED,
                )
                if faults >= FAULTS_ALLOWED:
                    await self._give_up(task, fault)
                    return
                await asyncio.sleep(self._pause * 2**faults)

    async def _give_up(self, task: Task, fault: Exception) -> None:
        try:
            await self._on_fault(task, fault)
        except Exception:  # the reconciler finds the row again
            log.exception("%s could not be handed to a person", task.label)
