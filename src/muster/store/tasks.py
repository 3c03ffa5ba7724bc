"""Verbs about tasks: accept, find, list, wish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select, update

from muster.domain.errors import Conflict, Invalid, NotFound
from muster.domain.event import NewEvent
from muster.domain.ids import new_id, task_number
from muster.domain.task import TERMINAL, Autonomy, Stage, Task, TaskType, refuse_cycle
from muster.domain.verdict import Checkpoint
from muster.failpoint import failpoint
from muster.store.base import Tx
from muster.store.rows import AnyRow, task_of
from muster.store.schema import agents, task_needs, tasks

_NEW = insert(tasks)
_BY_ID = select(tasks).where(tasks.c.id == bindparam("ref"))
_BY_NUMBER = select(tasks).where(tasks.c.number == bindparam("ref"))
_NEEDS = (
    select(task_needs.c.task_id, task_needs.c.needs_id)
    .where(task_needs.c.task_id.in_(bindparam("ids", expanding=True)))
    .order_by(task_needs.c.needs_id)
)
_COSTS = (
    select(
        agents.c.task_id,
        func.sum(agents.c.cost_usd),
        func.sum(agents.c.input_tokens),
        func.sum(agents.c.output_tokens),
    )
    .where(agents.c.task_id.in_(bindparam("ids", expanding=True)))
    .group_by(agents.c.task_id)
)


@dataclass(frozen=True, slots=True)
class NewTask:
    """What a task needs to be accepted; `needs` are ids of tasks that must complete first.

    `step` is where in a playbook of events it begins; `cause` the event that it was made by.
    """

    project_id: str
    title: str
    description: str
    type: TaskType
    priority: int
    stage: Stage
    needs: tuple[str, ...] = ()
    autonomy: Autonomy | None = None
    agent: str | None = None
    runtime: str | None = None
    playbook: str | None = None
    model: str | None = None
    budget_usd: float | None = None
    timeout_minutes: float | None = None
    paths: tuple[str, ...] = ()
    parent_id: str | None = None
    errand: str | None = None
    image: str | None = None
    fork: Checkpoint | None = None
    acceptance_id: str | None = None
    step: str | None = None
    cause_id: str | None = None
    cause: int | None = None


def create_task(tx: Tx, new: NewTask) -> Task:
    """Accept a task: blocked when it waits for others, else in the stage asked for.

    Raises:
        Invalid: a task it needs has failed or was cancelled.
    """
    failpoint("task.create.before_commit")
    task_id = new_id("tsk")
    number = tx.next("task")
    stage = _first_stage(tx, new)
    rev = tx.emit(
        NewEvent(
            "task.created",
            task_id,
            {"number": number, "title": new.title, "stage": str(stage), "needs": list(new.needs)},
            new.project_id,
            task_id,
            new.cause,
        )
    )
    tx.conn.execute(
        _NEW,
        {
            "id": task_id,
            "number": number,
            "project_id": new.project_id,
            "title": new.title,
            "description": new.description,
            "type": str(new.type),
            "priority": new.priority,
            "stage": str(stage),
            "rev": rev,
            "created_at": tx.now,
            "updated_at": tx.now,
            "autonomy": str(new.autonomy) if new.autonomy else None,
            "agent": new.agent,
            "runtime": new.runtime,
            "playbook": new.playbook,
            "model": new.model,
            "budget_usd": new.budget_usd,
            "timeout_minutes": new.timeout_minutes,
            "attempt": 0,
            "tries": 0,
            "token": "",
            "reason": "",
            "paths": list(new.paths),
            "parent_id": new.parent_id,
            "errand": new.errand,
            "image": new.image,
            "acceptance_id": new.acceptance_id,
            "step": new.step,
            "rounds": 0,
            "cause_id": new.cause_id,
            **_began_as(new.fork),
        },
    )
    for needed in new.needs:
        tx.conn.execute(insert(task_needs).values(task_id=task_id, needs_id=needed))
    return get_task(tx, task_id)


def _began_as(fork: Checkpoint | None) -> dict[str, Any]:
    if fork is None:
        return {}
    return {
        "fork_of": fork.task_id,
        "fork_point": fork.n,
        "base_commit": fork.base_commit,
        "result_commit": fork.commit,
        "feedback": lessons(fork.feedback) or None,
    }


def lessons(feedback: Mapping[str, Any] | None) -> dict[str, Any]:
    """What another attempt is told of those before: all of it but how the last one ended."""
    return {name: said for name, said in (feedback or {}).items() if name != "ending"}


def _first_stage(tx: Tx, new: NewTask) -> Stage:
    ended_badly = [t for t in (get_task(tx, n) for n in new.needs) if _dead(t)]
    if ended_badly:
        dead = ended_badly[0]
        raise Invalid(
            f"{dead.label} has {dead.stage}, so nothing can wait for it to complete",
            hint=f"retry it first (muster task retry {dead.label}) or leave it out",
        )
    if new.stage is Stage.QUEUED and unfinished_needs(tx, new.needs):
        return Stage.BLOCKED
    return new.stage


def _dead(task: Task) -> bool:
    return task.stage in {Stage.FAILED, Stage.CANCELLED}


def unfinished_needs(tx: Tx, needs: Sequence[str]) -> list[str]:
    """Those of the given tasks that have not completed."""
    if not needs:
        return []
    return list(
        tx.conn.execute(
            select(tasks.c.id).where(tasks.c.id.in_(needs), tasks.c.stage != str(Stage.COMPLETED))
        ).scalars()
    )


def resolve_refs(tx: Tx, refs: Sequence[str]) -> tuple[str, ...]:
    """Task ids for ids or `MU-n` names, each once, in order.

    Raises:
        NotFound: one of them does not exist.
    """
    return tuple(dict.fromkeys(get_task(tx, ref).id for ref in refs))


def add_needs(tx: Tx, task_id: str, needs: Sequence[str]) -> Task:
    """Let a task that has not started wait for more tasks.

    Raises:
        Cycle: the tasks would wait for each other; the error names them all.
        Conflict: the task has started or ended.
    """
    task = get_task(tx, task_id)
    if task.stage not in {Stage.QUEUED, Stage.BLOCKED, Stage.PROPOSED}:
        raise Conflict(
            f"{task.label} is {task.status} and can no longer wait for others",
            hint="make a new task with --after instead",
        )
    edges = _edges(tx)
    edges.setdefault(task_id, set()).update(needs)
    labels = {
        str(r.id): f"MU-{r.number}" for r in tx.conn.execute(select(tasks.c.id, tasks.c.number))
    }
    refuse_cycle({labels[a]: [labels[b] for b in bs] for a, bs in edges.items()}, labels[task_id])
    for needed in needs:
        if needed not in task.needs:
            tx.conn.execute(insert(task_needs).values(task_id=task_id, needs_id=needed))
    stage = task.stage
    if stage is Stage.QUEUED and unfinished_needs(tx, needs):
        stage = Stage.BLOCKED
    rev = tx.emit(
        NewEvent("task.blocked", task_id, {"needs": list(needs)}, task.project_id, task_id)
    )
    tx.conn.execute(
        update(tasks)
        .where(tasks.c.id == task_id)
        .values(stage=str(stage), rev=rev, updated_at=tx.now)
    )
    return get_task(tx, task_id)


def _edges(tx: Tx) -> dict[str, set[str]]:
    edges: dict[str, set[str]] = {}
    for row in tx.conn.execute(select(task_needs.c.task_id, task_needs.c.needs_id)):
        edges.setdefault(row.task_id, set()).add(row.needs_id)
    return edges


def needs_of(tx: Tx, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each of the tasks, the ids it waits for."""
    found: dict[str, tuple[str, ...]] = {}
    if not ids:
        return found
    for row in tx.conn.execute(_NEEDS, {"ids": ids}):
        found[row.task_id] = (*found.get(row.task_id, ()), row.needs_id)
    return found


def with_needs(tx: Tx, rows: Sequence[AnyRow]) -> list[Task]:
    """Task rows with their dependencies, in one more query."""
    needs = needs_of(tx, [row.id for row in rows])
    return [task_of(row, needs.get(row.id, ())) for row in rows]


def get_task(tx: Tx, ref: str) -> Task:
    """A task by id, `MU-n` or n.

    Raises:
        NotFound: there is no such task.
    """
    number = task_number(ref)
    if number is not None:
        row = tx.conn.execute(_BY_NUMBER, {"ref": number}).first()
    else:
        row = tx.conn.execute(_BY_ID, {"ref": ref}).first()
    if row is None:
        raise NotFound(f"there is no task '{ref}'", hint="muster task list shows what there is")
    return with_needs(tx, [row])[0]


def list_tasks(
    tx: Tx,
    *,
    project_id: str | None = None,
    stages: Sequence[Stage] | None = None,
    after: int | None = None,
    limit: int = 100,
) -> list[Task]:
    """Tasks, newest first; `after` is the number of the last one of the page before."""
    query: Select[Any] = select(tasks).order_by(tasks.c.number.desc()).limit(limit)
    if project_id:
        query = query.where(tasks.c.project_id == project_id)
    if stages is not None:
        query = query.where(tasks.c.stage.in_([str(s) for s in stages]))
    if after is not None:
        query = query.where(tasks.c.number < after)
    return with_needs(tx, tx.conn.execute(query).all())


def tasks_since(tx: Tx, rev: int, project_id: str | None = None) -> list[Task]:
    """Tasks that changed after event `rev`."""
    query = select(tasks).where(tasks.c.rev > rev).order_by(tasks.c.rev)
    if project_id:
        query = query.where(tasks.c.project_id == project_id)
    return with_needs(tx, tx.conn.execute(query).all())


def count_stages(tx: Tx, project_id: str | None = None) -> dict[Stage, int]:
    """How many tasks stand in each stage."""
    query = select(tasks.c.stage, func.count()).group_by(tasks.c.stage)
    if project_id:
        query = query.where(tasks.c.project_id == project_id)
    return {Stage(stage): count for stage, count in tx.conn.execute(query)}


def holds_back(tx: Tx, task_id: str) -> int:
    """How many unfinished tasks wait for this one, directly or through others."""
    waiting: dict[str, set[str]] = {}
    for task, needs in _edges(tx).items():
        for needed in needs:
            waiting.setdefault(needed, set()).add(task)
    seen: set[str] = set()
    ahead = [task_id]
    while ahead:
        for task in waiting.get(ahead.pop(), ()):
            if task not in seen:
                seen.add(task)
                ahead.append(task)
    if not seen:
        return 0
    unfinished = select(func.count()).where(
        tasks.c.id.in_(seen), tasks.c.stage.not_in([str(s) for s in TERMINAL])
    )
    return int(tx.conn.execute(unfinished).scalar_one())


def wish(tx: Tx, task_id: str, what: str) -> Task:
    """Record what a person wants of a task that the engine holds; the engine acts on it."""
    task = get_task(tx, task_id)
    if task.wish == what:
        return task
    rev = tx.emit(NewEvent("task.wished", task_id, {"wish": what}, task.project_id, task_id))
    tx.conn.execute(
        update(tasks).where(tasks.c.id == task_id).values(wish=what, rev=rev, updated_at=tx.now)
    )
    return get_task(tx, task_id)


def put_off(tx: Tx, task: Task, why: str, said: Mapping[str, Any]) -> Task:
    """Say, once, why a queued task does not start though there is room for it."""
    if task.reason == why:
        return task
    rev = tx.emit(NewEvent("task.held", task.id, said, task.project_id, task.id))
    tx.conn.execute(
        update(tasks).where(tasks.c.id == task.id).values(reason=why, rev=rev, updated_at=tx.now)
    )
    return get_task(tx, task.id)


def set_budget(tx: Tx, task: Task, budget_usd: float) -> Task:
    """Say what a task may cost, in US dollars.

    Raises:
        Conflict: it has completed or was cancelled.
    """
    if task.stage in {Stage.COMPLETED, Stage.CANCELLED}:
        raise Conflict(
            f"{task.label} is {task.status} and costs nothing more",
            hint=f"muster task show {task.label} tells what it has cost",
        )
    said = {"budget_usd": budget_usd}
    rev = tx.emit(NewEvent("task.changed", task.id, said, task.project_id, task.id))
    tx.conn.execute(
        update(tasks)
        .where(tasks.c.id == task.id)
        .values(budget_usd=budget_usd, rev=rev, updated_at=tx.now)
    )
    return get_task(tx, task.id)


def set_list_position(tx: Tx, task_id: str, position: int | None) -> Task:
    """Put a task at a place of the ordered list, or take it off with None."""
    task = get_task(tx, task_id)
    rev = tx.emit(
        NewEvent(
            "queue.changed",
            task_id,
            {"task": task.label, "position": position},
            task.project_id,
            task_id,
        )
    )
    tx.conn.execute(
        update(tasks)
        .where(tasks.c.id == task_id)
        .values(list_position=position, rev=rev, updated_at=tx.now)
    )
    return get_task(tx, task_id)


def listed(tx: Tx) -> list[Task]:
    """The ordered list, first to start first."""
    rows = tx.conn.execute(
        select(tasks)
        .where(tasks.c.list_position.is_not(None))
        .order_by(tasks.c.priority.desc(), tasks.c.list_position)
    ).all()
    return with_needs(tx, rows)


def cost_of(tx: Tx, ids: Sequence[str]) -> dict[str, tuple[float, int, int]]:
    """For each of the tasks: cost in US dollars, input tokens, output tokens of all its agents."""
    if not ids:
        return {}
    rows = tx.conn.execute(_COSTS, {"ids": ids})
    return {task: (float(cost), int(tin), int(tout)) for task, cost, tin, tout in rows}
