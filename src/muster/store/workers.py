"""Verbs about workers: the tasks that the manager of another task has spawned."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, func, select

from muster.domain.acceptance import Writers
from muster.domain.agent import Agent
from muster.domain.errand import MOST_WORKERS, Errand
from muster.domain.errors import Conflict, Invalid, NotFound
from muster.domain.event import NewEvent
from muster.domain.project import ProjectSettings
from muster.domain.task import ACCEPTANCE, GOES_ON, SOLO, Autonomy, Stage, Task
from muster.store import judgements
from muster.store.acceptance import create_with_author, wanted_for
from muster.store.base import Tx
from muster.store.purse import workers_purse
from muster.store.schema import events, tasks
from muster.store.tasks import NewTask, put_off, with_needs

_OF = select(tasks).where(tasks.c.parent_id == bindparam("parent")).order_by(tasks.c.number)
_WORKERS = _OF.where(func.coalesce(tasks.c.playbook, SOLO) != ACCEPTANCE)
_AUTHORS = _OF.where(tasks.c.playbook == ACCEPTANCE)
_SPAWNED = select(func.count()).where(
    events.c.type == "agent.spawned", events.c.task_id.in_(bindparam("ids", expanding=True))
)


def workers_of(tx: Tx, task_id: str) -> list[Task]:
    """The workers of a manager's task, in the order in which they were spawned."""
    return with_needs(tx, tx.conn.execute(_WORKERS, {"parent": task_id}).all())


def authors_of(tx: Tx, task_id: str) -> list[Task]:
    """The tasks that write acceptance tests for what comes of a manager or a plan."""
    return with_needs(tx, tx.conn.execute(_AUTHORS, {"parent": task_id}).all())


def at_work(tx: Tx, task_id: str) -> list[Task]:
    """The workers that go on without anybody's doing, those included whose tests are written."""
    writing = {author.id for author in authors_of(tx, task_id) if author.stage in GOES_ON}
    return [
        worker
        for worker in workers_of(tx, task_id)
        if worker.stage in GOES_ON
        or (worker.stage is Stage.BLOCKED and worker.acceptance_id in writing)
    ]


def worker_of(tx: Tx, task: Task, name: str) -> Task:
    """The worker that a manager calls so.

    Raises:
        NotFound: this manager has none of that name, whatever other managers have.
    """
    found = {worker.errand: worker for worker in workers_of(tx, task.id)}
    if name not in found:
        known = ", ".join(str(n) for n in found) or "none yet"
        raise NotFound(f"you have no worker '{name[:60]}'", hint=f"your workers: {known}")
    return found[name]


def spawn(
    tx: Tx,
    task: Task,
    agent: Agent,
    errand: Errand,
    *,
    settings: ProjectSettings,
    known_agents: Collection[str],
    writers: Writers,
) -> tuple[Task, bool]:
    """Spawn a worker for a manager's task; with False the one that was spawned for it before.

    It runs where the manager runs, with its limits, and is paid from its purse. Under `manual` a
    person says go first. One that owes acceptance tests waits for who of the `writers` writes them.

    Raises:
        Conflict: the name was given to another errand, too many were spawned, or nothing is left
            of the manager's budget.
        Invalid: it names an agent or an earlier worker that there is not.
    """
    team = {worker.errand: worker for worker in workers_of(tx, task.id)}
    same = team.get(errand.id)
    if same is not None:
        if same.description != errand.prompt:
            raise Conflict(
                f"'{errand.id}' is the name of another errand, {same.label}",
                hint="give a new worker a new id",
            )
        return same, False
    refuse_more(tx, task)
    if errand.agent is not None and errand.agent not in known_agents:
        names = ", ".join(sorted(known_agents))
        raise Invalid(f"there is no agent '{errand.agent[:60]}'", hint=f"agents: {names}")
    missing = [name for name in errand.after if name not in team]
    if missing:
        known = ", ".join(str(n) for n in team) or "none yet"
        raise Invalid(
            f"'after' names '{missing[0]}', which is no worker of yours",
            hint=f"your workers: {known}",
        )
    autonomy = task.autonomy or settings.autonomy
    new = _task(task, agent, errand, autonomy, [team[n].id for n in errand.after])
    asked = wanted_for(tx, task.id)
    author = writers.author_for(settings, new.type, new.agent, asked)
    made = create_with_author(tx, new, author)
    if made.stage is Stage.PROPOSED:
        judgements.ask_to_start(tx, made)
    _tell(tx, task, agent, made)
    return made, True


def _task(
    task: Task, agent: Agent, errand: Errand, autonomy: Autonomy, needs: list[str]
) -> NewTask:
    return NewTask(
        project_id=task.project_id,
        title=errand.title,
        description=errand.prompt,
        type=errand.type,
        priority=task.priority,
        stage=Stage.PROPOSED if autonomy is Autonomy.MANUAL else Stage.QUEUED,
        needs=tuple(needs),
        autonomy=task.autonomy,
        agent=errand.agent or task.agent,
        runtime=agent.runtime,
        model=task.model if errand.agent in {None, task.agent} else None,
        timeout_minutes=task.timeout_minutes,
        paths=errand.paths,
        image=task.image,
        parent_id=task.id,
        errand=errand.id,
    )


def set_to_work_again(tx: Tx, task: Task, agent: Agent, worker: Task) -> None:
    """Count that a worker is given another try.

    Raises:
        Conflict: too many were spawned or set to work again, or nothing is left of the budget.
    """
    refuse_more(tx, task)
    _tell(tx, task, agent, worker)


def refuse_more(tx: Tx, task: Task) -> None:
    """Raise `Conflict` when a manager has used up what it may spawn."""
    ids = [worker.id for worker in workers_of(tx, task.id)]
    spawned = int(tx.conn.execute(_SPAWNED, {"ids": ids}).scalar_one()) if ids else 0
    if spawned >= MOST_WORKERS:
        raise Conflict(
            f"a manager may spawn {MOST_WORKERS} workers, those tried again included",
            hint="sum up what there is, and say what is left",
        )
    purse = workers_purse(tx, task)
    if purse is not None and purse.left <= 0:
        raise Conflict(purse.told(), hint="sum up what there is, and say what is left")


def hold_back(tx: Tx, worker: Task, most: int) -> Task:
    """Say, once, that a worker waits for others of its manager to end."""
    why = f"waits its turn: no more than {most} of its manager's workers run at a time"
    return put_off(tx, worker, why, {"worker": worker.errand or worker.label, "most": most})


def _tell(tx: Tx, task: Task, agent: Agent, worker: Task) -> None:
    said = {"worker": worker.errand, "label": worker.label, "for": task.label}
    tx.emit(NewEvent("agent.spawned", agent.id, said, task.project_id, worker.id))
