"""Verbs about checkpoints: the points that a task can be put back to, or forked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import bindparam, insert, select

from muster.domain.errors import NotFound
from muster.domain.event import NewEvent
from muster.domain.task import Task
from muster.domain.verdict import Checkpoint
from muster.store import schema
from muster.store.base import Tx
from muster.store.rows import checkpoint_of

_CHECKPOINT = insert(schema.checkpoints)
_CHECKPOINTS_OF = (
    select(schema.checkpoints)
    .where(schema.checkpoints.c.task_id == bindparam("of_task"))
    .order_by(schema.checkpoints.c.n)
)

LABEL_LENGTH = 200
MERGED = "merged"
"""The label of a task's last checkpoint: what came onto the branch."""


def after(attempt: int) -> str:
    """The label of the work that an attempt left."""
    return f"attempt {attempt}"


@dataclass(frozen=True, slots=True)
class NewCheckpoint:
    """A checkpoint on its way to the store, without what the task itself says."""

    label: str
    commit: str
    agent_id: str | None = None
    session_id: str | None = None
    log_offset: int | None = None


def add_checkpoint(tx: Tx, task: Task, new: NewCheckpoint) -> Checkpoint:
    """Keep a restorable point; the same commit under the same label is kept once."""
    kept = checkpoints_of(tx, task.id)
    for known in kept:
        if (known.commit, known.label) == (new.commit, new.label):
            return known
    n = max((known.n for known in kept), default=0) + 1
    rev = tx.emit(
        NewEvent(
            "checkpoint.taken",
            task.id,
            {"n": n, "label": new.label, "commit": new.commit},
            task.project_id,
            task.id,
        )
    )
    point = Checkpoint(
        task_id=task.id,
        n=n,
        attempt=task.attempt,
        label=new.label,
        commit=new.commit,
        created_at=tx.now,
        rev=rev,
        base_commit=task.base_commit,
        agent_id=new.agent_id,
        session_id=new.session_id,
        log_offset=new.log_offset,
        tries=task.tries,
        feedback=task.feedback,
    )
    tx.conn.execute(_CHECKPOINT, asdict(point))
    return point


def work_at(point: Checkpoint, base: str | None) -> dict[str, str | None]:
    """The columns of a task whose work is as it was at a checkpoint; `base` where that knows none.

    A checkpoint of the base itself is no work.
    """
    stands_on = point.base_commit or base
    work = None if point.commit == stands_on else point.commit
    return {"base_commit": stands_on, "result_commit": work}


def tell_restored(tx: Tx, task: Task, point: Checkpoint | None, why: str = "") -> int:
    """Tell that a task went back to a checkpoint, or to its beginning; the event's number."""
    said = {"n": point and point.n, "commit": point and point.commit}
    said |= {"why": why} if why else {}
    return tx.emit(NewEvent("checkpoint.restored", task.id, said, task.project_id, task.id))


def checkpoints_of(tx: Tx, task_id: str) -> list[Checkpoint]:
    """A task's checkpoints, oldest first."""
    return [checkpoint_of(row) for row in tx.conn.execute(_CHECKPOINTS_OF, {"of_task": task_id})]


def get_checkpoint(tx: Tx, task: Task, n: int) -> Checkpoint:
    """One checkpoint of a task.

    Raises:
        NotFound: it has none of that number; the error names those it has.
    """
    found = checkpoints_of(tx, task.id)
    for point in found:
        if point.n == n:
            return point
    have = ", ".join(str(point.n) for point in found) or "none"
    raise NotFound(f"{task.label} has no checkpoint {n}", hint=f"checkpoints: {have}")
