"""What may start now: the most urgent that every limit leaves room for, claimed at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from muster.domain.event import NewEvent
from muster.domain.plain import few
from muster.domain.playbook import ASSIGNED, BEGIN, role_of
from muster.domain.project import ProjectSettings
from muster.domain.task import HOLDS_A_SLOT, MANAGER, PLAN, SOLO, Autonomy, Stage, Task
from muster.domain.verdict import OPTIONS, BreakpointKind
from muster.failpoint import failpoint
from muster.store import judgements
from muster.store.base import Tx
from muster.store.foreseen import goes_first
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move, move
from muster.store.purse import purse_of
from muster.store.schema import projects, tasks
from muster.store.tasks import get_task, put_off, with_needs
from muster.store.workers import hold_back

_READY = (
    select(tasks)
    .join(projects, projects.c.id == tasks.c.project_id)
    .where(
        tasks.c.stage == str(Stage.QUEUED),
        func.coalesce(tasks.c.due_at, 0) <= bindparam("now"),
    )
    .order_by(
        tasks.c.priority.desc(),
        func.coalesce(tasks.c.list_position, 0),
        tasks.c.number,
    )
    .limit(200)
)
_READY_WITHOUT_SLOT = _READY.where(tasks.c.playbook.in_((MANAGER, PLAN)))
_HELD = (
    select(tasks.c.project_id, tasks.c.parent_id, func.count())
    .where(
        tasks.c.stage.in_([str(s) for s in HOLDS_A_SLOT]),
        func.coalesce(tasks.c.playbook, SOLO) != MANAGER,
    )
    .group_by(tasks.c.project_id, tasks.c.parent_id)
)
_DEFAULTS = ProjectSettings()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may run at once; per project by id, with a default for those not named.

    `settings` are those of projects by id: how many workers of a manager, and whether a person is
    asked.
    """

    fleet: int
    per_project: Mapping[str, int]
    default: int
    settings: Mapping[str, ProjectSettings] = field(default_factory=dict)

    def of(self, task: Task) -> ProjectSettings:
        """The settings of a task's project."""
        return self.settings.get(task.project_id, _DEFAULTS)


def admit(tx: Tx, limits: Limits) -> list[Task]:
    """Claim every task that may start now, the most urgent first.

    Ready means: queued, its time has come, the fleet is not paused, the list is not stopped (for
    listed tasks), and both limits leave a slot. A manager takes none: it waits for workers, which
    could not start while it held theirs; nor does a plan, which no agent works on. Of the workers
    of one manager so many run at once, and neither they nor it start once its budget is spent. What
    was kept of a task's work may conflict with one at work, which it then waits for.
    Each claimed task has a fresh token and a new attempt number.
    """
    settings = judgements.queue_settings(tx)
    if settings.paused:
        return []
    held, teams = _held(tx)
    room = limits.fleet - held.total()
    listed_too = settings.stopped_by is None
    slotless = _ready(tx, _READY_WITHOUT_SLOT, listed_too)
    claimed = [_claim(tx, task) for task in slotless if _is_paid_for(tx, task, limits)]
    if room <= 0:
        return claimed
    for task in _ready(tx, _READY, listed_too):
        if room <= 0:
            break
        limit = limits.per_project.get(task.project_id, limits.default)
        if held[task.project_id] >= limit or _gives_way(tx, task):
            continue
        if not _may_join(tx, task, teams, limits):
            continue
        held[task.project_id] += 1
        claimed.append(_claim(tx, task))
        room -= 1
    return claimed


def _held(tx: Tx) -> tuple[Counter[str], Counter[str]]:
    """How many slots are held, by project and, those of workers, by manager."""
    held: Counter[str] = Counter()
    teams: Counter[str] = Counter()
    for project, manager, count in tx.conn.execute(_HELD):
        held[project] += count
        if manager is not None:
            teams[manager] += count
    return held, teams


def _may_join(tx: Tx, task: Task, teams: Counter[str], limits: Limits) -> bool:
    """Whether a task that may start now may start beside the other workers of its manager."""
    if task.parent_id is None:
        return True
    most = limits.of(task).max_workers
    if teams[task.parent_id] >= most and get_task(tx, task.parent_id).manages:
        hold_back(tx, task, most)
        return False
    if not _is_paid_for(tx, task, limits):
        return False
    teams[task.parent_id] += 1
    return True


def _gives_way(tx: Tx, task: Task) -> bool:
    """Whether what is kept of its work conflicts with that of one at work, which goes first."""
    found = goes_first(tx, task)
    if found is None:
        return False
    first, paths = found
    why = f"waits for {first.label}, which changes the same lines of {few(paths)}"
    put_off(tx, task, why, {"for": first.label, "paths": list(paths)})
    return True


def _is_paid_for(tx: Tx, task: Task, limits: Limits) -> bool:
    """Whether something is left in the task's purse; else the task ends or a person is asked."""
    purse = purse_of(tx, task)
    if purse is None or purse.left > 0:
        return True
    why = f"not started: {purse.told()}"
    if (task.autonomy or limits.of(task).autonomy) is Autonomy.FULL:
        move(tx, Move(Fence.of(task), Stage.FAILED, why))
        return False
    kind = BreakpointKind.PROBLEM
    asked = NewBreakpoint(
        kind, f"{task.label} was {why}. Retry it with more?", tuple(map(str, OPTIONS[kind]))
    )
    move(tx, Move(Fence.of(task), Stage.WAITING, why, ask=asked))
    return False


def _ready(tx: Tx, query: Select[Any], listed_too: bool) -> Sequence[Task]:
    if not listed_too:
        query = query.where(tasks.c.list_position.is_(None))
    return with_needs(tx, tx.conn.execute(query, {"now": tx.now}).all())


def _claim(tx: Tx, task: Task) -> Task:
    failpoint("claim.before_commit")
    if task.step == BEGIN:
        return _assign(tx, task)
    step = {"step": str(role_of(task))} if task.step else {}
    return move(
        tx,
        Move(
            Fence.of(task),
            Stage.PLANNING if task.plans else Stage.PREPARING,
            columns={
                "attempt": task.attempt + 1,
                "tries": task.tries + 1,
                "started_at": task.started_at or tx.now,
                "due_at": None,
                **step,
            },
            payload={"attempt": task.attempt + 1},
            cause=task.came_by,
        ),
    )


def _assign(tx: Tx, task: Task) -> Task:
    """Let a task begin its playbook; it holds no slot until an event has led it to a role."""
    told = NewEvent(ASSIGNED, task.id, {"title": task.title}, task.project_id, task.id)
    return move(tx, Move(Fence.of(task), Stage.HANDED_ON, ASSIGNED, events=(told,)))
