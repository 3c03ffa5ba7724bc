"""Verbs about foreseen conflicts: tasks under way whose work cannot be joined as it is now.

A row says so of two tasks; one of a task and itself says it of the task and its target branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from muster.domain.agent import Role
from muster.domain.event import NewEvent
from muster.domain.playbook import role_of
from muster.domain.task import ACCEPTANCE, MANAGER, PLAN, SOLO, Stage, Task
from muster.store.base import Tx
from muster.store.checkpoints import checkpoints_of
from muster.store.schema import foreseen, projects, tasks
from muster.store.tasks import get_task, with_needs

MOST = 50
"""So many tasks of one project are looked at, the most urgent and the oldest."""

AT_WORK = frozenset({Stage.PREPARING, Stage.RUNNING, Stage.VALIDATING, Stage.MERGING})
_UNDER_WAY = {*AT_WORK, Stage.QUEUED, Stage.HANDED_ON, Stage.WAITING}
_CHANGING = [str(Stage.RUNNING), str(Stage.VALIDATING)]
_TASKS = (
    select(tasks)
    .join(projects, projects.c.id == tasks.c.project_id)
    .where(
        projects.c.removed == 0,
        tasks.c.stage.in_([str(stage) for stage in _UNDER_WAY]),
        func.coalesce(tasks.c.playbook, SOLO).not_in((MANAGER, PLAN, ACCEPTANCE)),
        or_(tasks.c.result_commit.is_not(None), tasks.c.stage.in_(_CHANGING)),
    )
    .order_by(tasks.c.priority.desc(), tasks.c.number)
)
_KEPT = select(foreseen, tasks.c.project_id).join(tasks, tasks.c.id == foreseen.c.task_id)
_OF_TASK = _KEPT.where(
    foreseen.c.task_id != foreseen.c.other_id,
    or_(foreseen.c.task_id == bindparam("ref"), foreseen.c.other_id == bindparam("ref")),
)
_PAIR = (foreseen.c.task_id == bindparam("one"), foreseen.c.other_id == bindparam("two"))
_NEW = insert(foreseen)
_CHANGE = update(foreseen).where(*_PAIR)
_GONE = delete(foreseen).where(*_PAIR)

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Clash:
    """Paths that keep the commits of two tasks from being joined; of one and its branch."""

    paths: tuple[str, ...]
    commit: str
    other_commit: str


@dataclass(slots=True)
class UnderWay:
    """What is under way in a project, and what is kept of its conflicts.

    `points` are the newest checkpoints of tasks whose agents run, or have just ended: their numbers
    and commits.
    """

    tasks: list[Task] = field(default_factory=list)
    points: dict[str, tuple[int, str]] = field(default_factory=dict)
    clashes: dict[Pair, Clash] = field(default_factory=dict)

    def compared(self, task: Task) -> str | None:
        """The commit of a task that was found to conflict with something; None when none was."""
        for (one, other), clash in self.clashes.items():
            if task.id in {one, other}:
                return clash.commit if task.id == one else clash.other_commit
        return None


@dataclass(frozen=True, slots=True)
class News:
    """What a task is told: that its work conflicts, or no more, `other` None for its branch."""

    task: Task
    other: Task | None
    paths: tuple[str, ...]
    begins: bool


def under_way(tx: Tx) -> dict[str, UnderWay]:
    """What is to be compared now, by project."""
    found: dict[str, UnderWay] = {}
    for task in with_needs(tx, tx.conn.execute(_TASKS).all()):
        project = found.setdefault(task.project_id, UnderWay())
        if len(project.tasks) < MOST:
            project.tasks.append(task)
            if task.stage in _CHANGING and (points := checkpoints_of(tx, task.id)):
                project.points[task.id] = (points[-1].n, points[-1].commit)
    for row in tx.conn.execute(_KEPT):
        clash = Clash(tuple(row.paths), row.commit, row.other_commit)
        found.setdefault(row.project_id, UnderWay()).clashes[row.task_id, row.other_id] = clash
    return found


def settle(tx: Tx, kept: Iterable[Pair], clashes: Mapping[Pair, Clash], branch: str) -> list[News]:
    """Keep what conflicts now in the place of what did, and tell of what begins and what ends.

    Nothing is told to a task that has ended.
    """
    news: list[News] = []
    for pair in set(kept) - set(clashes):
        tx.conn.execute(_GONE, {"one": pair[0], "two": pair[1]})
        news += _sides(tx, pair, (), begins=False)
    for pair, clash in clashes.items():
        values = {
            "paths": list(clash.paths),
            "commit": clash.commit,
            "other_commit": clash.other_commit,
        }
        changed = tx.conn.execute(_CHANGE, {**values, "one": pair[0], "two": pair[1]})
        if changed.rowcount == 0:
            new = {"task_id": pair[0], "other_id": pair[1], **values, "at": tx.now}
            tx.conn.execute(_NEW, new)
            news += _sides(tx, pair, clash.paths, begins=True)
    for each in news:
        tx.emit(_event(each, branch))
    return news


def goes_first(tx: Tx, task: Task) -> tuple[Task, tuple[str, ...]] | None:
    """The task at work that a queued one gives way to, with the paths; None when it may start.

    Of two the more urgent one goes first, then the older one, so that no two wait for each other.
    """
    if not task.result_commit or role_of(task) is not Role.CODING:
        return None
    for row in tx.conn.execute(_OF_TASK, {"ref": task.id}):
        other = get_task(tx, row.other_id if row.task_id == task.id else row.task_id)
        if other.stage in AT_WORK and rank(other) < rank(task):
            return other, tuple(row.paths)
    return None


def rank(task: Task) -> tuple[int, int]:
    """Which of two tasks in each other's way goes first: the one with the smaller."""
    return -task.priority, task.number


def _sides(tx: Tx, pair: Pair, paths: tuple[str, ...], *, begins: bool) -> list[News]:
    one, two = (get_task(tx, ref) for ref in pair)
    if one.id == two.id:
        sides = [News(one, None, paths, begins)]
    else:
        sides = [News(one, two, paths, begins), News(two, one, paths, begins)]
    return [side for side in sides if side.task.stage in _UNDER_WAY]


def _event(news: News, branch: str) -> NewEvent:
    task = news.task
    said: dict[str, object] = {"with": news.other.label if news.other else branch}
    if news.begins:
        said["paths"] = list(news.paths)
    kind = "conflict.foreseen" if news.begins else "conflict.gone"
    return NewEvent(kind, task.id, said, task.project_id, task.id)
