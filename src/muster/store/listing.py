"""Verbs of the ordered list: who stands on it where, and whose failure stops it.

Priority goes first, the place second. Whoever puts a task somewhere numbers the whole list anew,
so that no two have the same number; those that have ended keep their turn until they are cleared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from muster.domain.errors import Conflict
from muster.domain.event import NewEvent
from muster.domain.task import TERMINAL, Task
from muster.store import judgements
from muster.store.base import Tx
from muster.store.schema import tasks
from muster.store.tasks import with_needs

_LISTED = (
    select(tasks)
    .where(tasks.c.list_position.is_not(None))
    .order_by(tasks.c.priority.desc(), tasks.c.list_position, tasks.c.number)
)
_PLACE = (
    update(tasks)
    .where(tasks.c.id == bindparam("moved"))
    .values(list_position=bindparam("at"), rev=bindparam("by"), updated_at=bindparam("now"))
)
_MOST_NAMED = 5


def listed(tx: Tx) -> list[Task]:
    """The ordered list, first to start first, with those of it that have ended."""
    return with_needs(tx, tx.conn.execute(_LISTED).all())


def put(tx: Tx, task: Task, place: int | None = None) -> None:
    """Put a task on the list, or move it there, as number `place` of what has not ended.

    Its priority goes first: it comes as near to `place` as that allows, to the end of its own when
    none is given.
    """
    others = [other for other in listed(tx) if other.id != task.id]
    waiting = [other for other in others if other.stage not in TERMINAL]
    first = sum(other.priority > task.priority for other in waiting)
    last = first + sum(other.priority == task.priority for other in waiting)
    wanted = len(waiting) if place is None else place - 1
    turn = min(max(wanted, first), last)
    at = (
        others.index(waiting[turn])
        if turn < last
        else sum(other.priority >= task.priority for other in others)
    )
    order = [*others[:at], task, *others[at:]]
    said = NewEvent(
        "queue.changed",
        task.id,
        {"task": task.label, "position": at + 1},
        task.project_id,
        task.id,
    )
    _number(tx, order, said)


def take_off(tx: Tx, task: Task) -> None:
    """Take a task off the list; its neighbours stay in their order."""
    said = {"task": task.label, "position": None}
    rev = tx.emit(NewEvent("queue.changed", task.id, said, task.project_id, task.id))
    tx.conn.execute(_PLACE, [{"moved": task.id, "at": None, "by": rev, "now": tx.now}])


def set_order(tx: Tx, refs: Sequence[str]) -> None:
    """Have what has not ended stand in this order, which names each of them once by id or label.

    Tasks of a higher priority still come first.

    Raises:
        Conflict: these are not the tasks that are on the list now.
    """
    order = listed(tx)
    waiting = [task for task in order if task.stage not in TERMINAL]
    known = {name: task for task in waiting for name in (task.id, task.label)}
    _refuse_another_list(refs, waiting, known)
    given = iter(known[ref] for ref in refs)
    new = [task if task.stage in TERMINAL else next(given) for task in order]
    new.sort(key=lambda task: -task.priority)
    _number(tx, new, NewEvent("queue.changed", "queue", {"order": [t.label for t in new]}))


def _refuse_another_list(
    refs: Sequence[str], waiting: Sequence[Task], known: dict[str, Task]
) -> None:
    named = Counter(known[ref].label for ref in refs if ref in known)
    wrong = {
        "not on it, or ended": [ref for ref in refs if ref not in known],
        "left out": [task.label for task in waiting if task.label not in named],
        "named twice": [label for label, times in named.items() if times > 1],
    }
    faults = [f"{what}: {_some_of(names)}" for what, names in wrong.items() if names]
    if faults:
        raise Conflict(
            f"this is not the list as it is now; {'; '.join(faults)}",
            hint="read it again (muster queue show), and name each of its tasks once",
        )


def _some_of(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (" …" if names[_MOST_NAMED:] else "")


def _number(tx: Tx, order: Sequence[Task], said: NewEvent) -> None:
    """Number the tasks from 1 on; where that changes nothing, nothing is said."""
    moved = [(task, n) for n, task in enumerate(order, 1) if task.list_position != n]
    if moved:
        rev = tx.emit(said)
        rows = [{"moved": task.id, "at": n, "by": rev, "now": tx.now} for task, n in moved]
        tx.conn.execute(_PLACE, rows)


def stop(tx: Tx, task: Task) -> None:
    """Hold the list because one of its tasks has failed, if the settings say so."""
    settings = judgements.queue_settings(tx)
    if settings.stop_on_failure and task.list_position is not None and not settings.stopped_by:
        why = f"{task.label} failed, so that nothing more of the list starts"
        judgements.change_queue(
            tx,
            {"stopped_by": task.id},
            kind="queue.stopped",
            task=task,
            said={"task": task.label, "why": f"{why}: {task.reason}" if task.reason else why},
        )


def go_on(tx: Tx, task: Task) -> None:
    """Let the list go on that this task had stopped, because it is tried again."""
    if judgements.queue_settings(tx).stopped_by == task.id:
        judgements.change_queue(tx, {"stopped_by": None}, task=task)
