"""Verbs about orders: events from outside that want something done for which there is no task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muster.domain.agent import Role
from muster.domain.event import Event
from muster.domain.playbook import ASSIGNED, AUDIT, BEGIN, CREW, DEPLOY
from muster.domain.project import ProjectSettings
from muster.domain.task import DEFAULT_PRIORITY, PRIORITIES, Autonomy, Stage, Task, TaskType
from muster.failpoint import failpoint
from muster.store import judgements
from muster.store.base import Tx
from muster.store.moves import Fence, Move, hold, move
from muster.store.papers import ABOUT, BOOK, paper_of, put_paper
from muster.store.projects import get_project
from muster.store.tasks import NewTask, create_task, get_task

_FIRST = {DEPLOY: str(Role.DEPLOYER), AUDIT: str(Role.AUDITOR)}
_LONGEST_TITLE, _LONGEST = 200, 64_000


def ordered(
    tx: Tx, event: Event, ended: Task | None, settings: Callable[[str], ProjectSettings]
) -> Task | str:
    """The task that an order wants, at rest until its event leads it on; or why there is none.

    Under `manual` it is proposed instead, at the role that the order is for. `ended` is the task
    that the order names, if it names one.
    """
    project_id = ended.project_id if ended else event.project_id
    if project_id is None or get_project(tx, project_id).removed:
        return "it names no project"
    wanted = _wanted(event, ended)
    if isinstance(wanted, str):
        return wanted
    manual = settings(project_id).autonomy is Autonomy.MANUAL
    if manual and event.type == DEPLOY and not settings(project_id).deploy_command:
        return "the project has no deploy_command, so nothing can be deployed"
    made = create_task(
        tx,
        NewTask(
            project_id=project_id,
            stage=Stage.PROPOSED if manual else Stage.QUEUED,
            playbook=CREW,
            step=_FIRST.get(event.type, BEGIN) if manual else BEGIN,
            cause_id=ended.id if ended else None,
            cause=event.rev,
            **wanted,
        ),
    )
    failpoint("route.order_made")
    if event.type == AUDIT:
        put_paper(tx, made.id, ABOUT, {"about": _text(event, "about")})
    if manual:
        commit = _text(event, "commit") or (ended.merged_commit if ended else None)
        judgements.ask_to_start(tx, made)
        columns = {"came_by": event.rev, "merged_commit": commit or None}
        return hold(tx, Fence.of(get_task(tx, made.id)), columns)
    return move(tx, Move(Fence.of(made), Stage.HANDED_ON, event.type, cause=event.rev))


def _wanted(event: Event, ended: Task | None) -> dict[str, Any] | str:
    plain: dict[str, Any] = {"type": TaskType.CHORE, "priority": DEFAULT_PRIORITY}
    of = f" of {ended.label}" if ended else ""
    if event.type == DEPLOY:
        commit = _text(event, "commit") or (ended.merged_commit if ended else "") or ""
        title = f"Deploy {commit[:12] or 'the head of the branch'}{of}"
        return plain | {"title": title, "description": title}
    if event.type == AUDIT:
        about = _text(event, "about")
        title = f"Audit{of}: {about}" if about else f"Audit{of}"
        return plain | {"title": title[:_LONGEST_TITLE], "description": about or title}
    return _assigned(event)


def _assigned(event: Event) -> dict[str, Any] | str:
    """What `task.assigned` says of the task that it wants."""
    description = _text(event, "description")
    if not description:
        return f"{ASSIGNED} names no task and has no description"
    kind, priority = event.payload.get("type"), event.payload.get("priority", DEFAULT_PRIORITY)
    if kind is not None and kind not in list(TaskType):
        return f"there is no type of task '{str(kind)[:40]}'"
    if isinstance(priority, bool) or priority not in PRIORITIES:
        return "its priority is no number from 0 to 9"
    title = _text(event, "title") or description.splitlines()[0]
    return {
        "type": TaskType(kind or TaskType.FEATURE),
        "priority": int(priority),
        "title": " ".join(title.split())[:_LONGEST_TITLE],
        "description": description,
    }


def _text(event: Event, name: str) -> str:
    value = event.payload.get(name)
    return value.strip()[:_LONGEST] if isinstance(value, str) else ""


def made_of(tx: Tx, cause: Task, new: NewTask, *, asked: bool) -> Task:
    """A task that comes of another one: by the same playbook, and proposed where `asked`."""
    made = create_task(tx, new)
    kept = paper_of(tx, cause.id, BOOK)
    if kept is not None and new.playbook == cause.playbook:
        put_paper(tx, made.id, BOOK, kept)
    if asked:
        judgements.ask_to_start(tx, made)
    return get_task(tx, made.id)


def comes_of(
    task: Task, event: int | None, *, title: str, description: str, type: TaskType, priority: int,
    stage: Stage,
) -> NewTask:  # fmt: skip
    """A task that is made because of another one: done by whom that is, where and for how much."""
    return NewTask(
        project_id=task.project_id,
        title=title[:_LONGEST_TITLE],
        description=description,
        type=type,
        priority=min(max(PRIORITIES), max(0, priority)),
        stage=stage,
        autonomy=task.autonomy,
        agent=task.agent,
        runtime=task.runtime,
        playbook=task.playbook,
        model=task.model,
        budget_usd=task.budget_usd,
        timeout_minutes=task.timeout_minutes,
        step=BEGIN,
        cause_id=task.id,
        cause=event,
    )


def is_full(task: Task, own: ProjectSettings) -> bool:
    """Whether nobody is asked where evidence speaks."""
    return (task.autonomy or own.autonomy) is Autonomy.FULL
