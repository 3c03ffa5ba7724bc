"""The counter's part for the queue: the ordered list, and what holds work back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muster.domain.errors import Conflict, Invalid, NotFound
from muster.domain.person import SOMEBODY, Person
from muster.domain.task import HOLDS_A_SLOT, TERMINAL, Stage, Task
from muster.service import roles, shapes
from muster.service.desk import Desk
from muster.service.steps import start_move
from muster.store import judgements, listing, moves, tasks
from muster.store.base import Tx

_NOT_STARTED = frozenset({Stage.QUEUED, Stage.BLOCKED, Stage.PROPOSED})


class Queue(Desk):
    """Everything a door can ask about the queue."""

    async def get_queue(self) -> dict[str, Any]:
        """The ordered list, what of it has completed, and what holds work back."""
        return await self._store.read(self._queue)

    def _queue(self, tx: Tx) -> dict[str, Any]:
        found = listing.listed(tx)
        counts = tasks.count_stages(tx)
        settings = judgements.queue_settings(tx)
        return {
            "items": self._task_shapes(tx, [t for t in found if t.stage not in TERMINAL]),
            "completed": self._task_shapes(tx, [t for t in found if t.stage in TERMINAL]),
            "settings": shapes.queue_shape(settings, self._own.settings.queue_processor),
            "stopped": stopped_shape(tx),
            "running": sum(counts.get(s, 0) for s in HOLDS_A_SLOT),
            "waiting": counts.get(Stage.QUEUED, 0) + counts.get(Stage.BLOCKED, 0),
        }

    async def set_queue(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Pause, resume or limit.

        `paused: false` also lets a stopped list go on, and so does `stop_on_failure: false`.

        Raises:
            Invalid: there is no such setting, or it cannot have that value.
        """
        columns = dict(body)
        for name, value in columns.items():
            _check(name, value)
        if columns.get("paused") is False or columns.get("stop_on_failure") is False:
            columns["stopped_by"] = None

        def write(tx: Tx) -> dict[str, Any]:
            judgements.change_queue(tx, columns)
            return self._queue(tx)

        return await self._store.write(write)

    async def queue_add(
        self, ref: str, by: Person = SOMEBODY, position: int | None = None
    ) -> dict[str, Any]:
        """Put a task on the ordered list, at its end or at a place; a proposed one is approved.

        One that is on it stays where it is, or moves to the place that is given.

        Raises:
            Conflict: the task has ended, or has started and is not on the list.
            NeedsRole: what it would start waits for the approval of a role.
        """

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            _refuse_listing(task)
            if position is not None or task.list_position is None:
                listing.put(tx, task, position)
            if task.stage is Stage.PROPOSED:
                roles.refuse_act(tx, task, by, f"start {task.label}")
                moves.move(tx, start_move(tx, task, by.name if by.token_id else "the queue"))
            return self._queue(tx)

        return await roles.told(self._store, self._store.write(write))

    async def queue_order(self, refs: Sequence[str]) -> dict[str, Any]:
        """Have what is on the list and has not ended stand in this order, all of it or none.

        Raises:
            Conflict: these are not the tasks that are on the list now.
        """

        def write(tx: Tx) -> dict[str, Any]:
            listing.set_order(tx, refs)
            return self._queue(tx)

        return await self._store.write(write)

    async def queue_remove(self, ref: str) -> dict[str, Any]:
        """Take a task off the ordered list; the task itself stays.

        Raises:
            NotFound: the task is not on the list.
        """

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            if task.list_position is None:
                raise NotFound(
                    f"{task.label} is not on the list", hint="muster queue show shows what is"
                )
            listing.take_off(tx, task)
            return self._queue(tx)

        return await self._store.write(write)

    async def queue_clear(self) -> dict[str, Any]:
        """Take what has ended off the list."""

        def write(tx: Tx) -> dict[str, Any]:
            for task in listing.listed(tx):
                if task.stage in TERMINAL:
                    listing.take_off(tx, task)
            return self._queue(tx)

        return await self._store.write(write)


def stopped_shape(tx: Tx) -> dict[str, Any] | None:
    """Which task's failure stops the list, why, and how many wait for that; None if none does."""
    by = judgements.queue_settings(tx).stopped_by
    if by is None:
        return None
    task = tasks.get_task(tx, by)
    waiting = sum(t.stage in {Stage.QUEUED, Stage.BLOCKED} for t in listing.listed(tx))
    return shapes.stopped_shape(task, waiting)


def _refuse_listing(task: Task) -> None:
    on_it = task.list_position is not None and task.stage not in TERMINAL
    if task.stage not in _NOT_STARTED and not on_it:
        raise Conflict(
            f"{task.label} is {task.status} and cannot be listed",
            hint="retry it first, if it has ended",
        )


def _check(name: str, value: Any) -> None:
    if name in {"paused", "stop_on_failure"}:
        if not isinstance(value, bool):
            raise Invalid(f"{name} must be true or false", hint=f"got {value!r}")
    elif name == "max_concurrent":
        good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000
        if not good:
            raise Invalid(f"{name} must be a whole number from 1 to 1000", hint=f"got {value!r}")
    else:
        raise Invalid(
            f"the queue has no setting '{name}'", hint="paused, stop_on_failure, max_concurrent"
        )
