"""The tasks that the engine holds: what it sees of them at each look, taken over at its start."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, update

from muster.domain.ids import new_token
from muster.domain.task import ACTIVE, Stage, Task
from muster.store.base import Tx
from muster.store.schema import events, tasks
from muster.store.tasks import get_task

_ACTIVE = [str(s) for s in ACTIVE]
_CLAIMED = select(tasks.c.id, tasks.c.wish).where(tasks.c.stage.in_(_ACTIVE))
_BEGAN = (
    select(events.c.rev, events.c.time)
    .where(events.c.task_id == bindparam("of_task"), events.c.type == f"task.{Stage.MERGING}")
    .order_by(events.c.rev.desc())
    .limit(1)
)
_DUE = select(func.min(func.coalesce(tasks.c.due_at, 0)), func.count(tasks.c.result_commit)).where(
    tasks.c.stage == str(Stage.QUEUED)
)


def take_over(tx: Tx) -> list[Task]:
    """Claim anew every task that an earlier process of this home still held.

    The fresh token fences out whatever is left of that process.
    """
    rows = tx.conn.execute(
        select(tasks).where(tasks.c.stage.in_(_ACTIVE)).order_by(tasks.c.number)
    ).all()
    for row in rows:
        tx.conn.execute(
            update(tasks)
            .where(tasks.c.id == row.id, tasks.c.token == row.token)
            .values(token=new_token())
        )
    return [get_task(tx, row.id) for row in rows]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the engine has to know each time it looks.

    `held` are the ids of claimed tasks, `wished` of those that a person wants to end, `due` when
    the next queued task becomes ready (epoch milliseconds; None when nothing is queued). Of some
    that are queued work may be kept.
    """

    held: tuple[str, ...]
    wished: tuple[str, ...]
    due: int | None
    some_kept: bool


def outlook(tx: Tx) -> Outlook:
    """Claimed tasks, wishes and what is queued, in one read."""
    rows = tx.conn.execute(_CLAIMED).all()
    wished = tuple(row.id for row in rows if row.wish == "cancel")
    due, kept = tx.conn.execute(_DUE).one()
    return Outlook(tuple(row.id for row in rows), wished, due, bool(kept))


def began_to_merge(tx: Tx, task: Task) -> tuple[int, int]:
    """The event by which a task last came to be merged: its number, and epoch milliseconds."""
    row = tx.conn.execute(_BEGAN, {"of_task": task.id}).one()
    return int(row.rev), int(row.time)
