"""The counter's part for checkpoints: take one, go back to one, fork a task off one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from muster.domain.errors import Conflict, Invalid
from muster.domain.person import SOMEBODY, Person
from muster.domain.task import ACTIVE, Stage, Task
from muster.domain.telling import text
from muster.domain.verdict import Checkpoint
from muster.failpoint import failpoint
from muster.service import roles, shapes
from muster.service.requests import task_request
from muster.service.tasks import Tasks
from muster.store import checkpoints, keys, moves, projects, tasks
from muster.store.base import Tx
from muster.store.checkpoints import LABEL_LENGTH, NewCheckpoint
from muster.store.moves import Fence

_LIKE_THE_FIRST = (
    *("type", "priority", "autonomy", "agent", "runtime", "playbook", "model", "budget_usd"),
    *("timeout_minutes", "paths", "image"),
)
"""What a fork has of the task that it is forked off, unless it is told otherwise."""


class Checkpoints(Tasks):
    """Everything a door can ask about the points that a task can go back to."""

    async def list_checkpoints(self, ref: str) -> dict[str, Any]:
        """A task's restorable points."""

        def read(tx: Tx) -> dict[str, Any]:
            found = checkpoints.checkpoints_of(tx, tasks.get_task(tx, ref).id)
            return {"items": [shapes.checkpoint_shape(c) for c in found], "next": None}

        return await self._store.read(read)

    async def take_checkpoint(
        self, ref: str, label: str = "", key: str | None = None
    ) -> tuple[dict[str, Any], bool]:
        """Keep the work as it is now, also while an agent is at it; and whether it was kept before.

        Raises:
            Conflict: there is no work yet, or it is on another machine.
        """
        label = " ".join(text({"label": label}, "label", LABEL_LENGTH).split()) if label else ""
        task = await self._store.read(tasks.get_task, ref)
        new = await self._now_of(task, label or "asked for")
        failpoint("checkpoint.taken")

        def write(tx: Tx) -> dict[str, Any]:
            now = tasks.get_task(tx, task.id)
            return shapes.checkpoint_shape(checkpoints.add_checkpoint(tx, now, new))

        scoped = f"checkpoint {key}" if key else None
        return await self._store.write(keys.once, scoped, {"task": ref, "label": label}, write)

    async def _now_of(self, task: Task, label: str) -> NewCheckpoint:
        if task.stage is Stage.RUNNING:
            return replace(await self._own.at_work(task), label=label)
        if task.result_commit is None:
            raise Conflict(
                f"{task.label} is {task.status} and has no work to keep yet",
                hint="ask again when its agent works",
            )
        return NewCheckpoint(label, task.result_commit)

    async def restore_checkpoint(self, ref: str, n: int, by: Person = SOMEBODY) -> dict[str, Any]:
        """Put a task's work back to a checkpoint; the next attempt or merge goes on from there.

        What it had before is a checkpoint, too: that is the way back.

        Raises:
            NotFound: there is no such checkpoint.
            Conflict: the task is at work or completed, or it was split.
            NeedsRole: it waits for the approval of a role, or ended without it.
        """
        task = await self._store.read(tasks.get_task, ref)
        point = await self._store.read(checkpoints.get_checkpoint, task, n)
        if task.stage in ACTIVE or task.stage is Stage.COMPLETED:
            raise Conflict(
                f"{task.label} is {task.status}; its work cannot be put back now",
                hint=f"cancel it, or wait, or fork it: muster task fork {task.label} {n}",
            )
        if task.plans:
            raise Conflict(
                f"{task.label} was split, and its work is that of its tasks now",
                hint=f"go another way from there: muster task fork {task.label} {n}",
            )
        act = f"put back the work of {task.label}"
        may = self._store.read(roles.refuse_act, task, by, act)
        await roles.told(self._store, may)
        project = await self._store.read(projects.get_project, task.project_id)
        await asyncio.to_thread(self._keep, task, point)
        failpoint("checkpoint.kept")
        restored = await self._store.write(self._put_back, task, point)
        failpoint("checkpoint.put_back")
        if not task.writes_tests:
            show = self._own.workspaces.publish
            user = Path(project.git_dir)
            await asyncio.to_thread(show, task.repo, user, task.branch, point.commit)
        return restored

    def _keep(self, task: Task, point: Checkpoint) -> None:
        """A ref holds the work that the task goes back from, before it does."""
        if task.result_commit and task.result_commit != point.commit:
            kept = f"refs/muster/rescue/{task.id}-{task.result_commit[:12]}"
            self._own.workspaces.mirror(task.repo).keep(kept, task.result_commit)

    def _put_back(self, tx: Tx, task: Task, point: Checkpoint) -> dict[str, Any]:
        if task.result_commit and task.result_commit != point.commit:
            before = NewCheckpoint(f"before going back to {point.n}", task.result_commit)
            checkpoints.add_checkpoint(tx, task, before)
        columns: dict[str, Any] = checkpoints.work_at(point, task.base_commit)
        if point.tries is not None:  # kept since a checkpoint knows the task
            columns["feedback"] = dict(point.feedback) if point.feedback else None
        columns["rev"] = checkpoints.tell_restored(tx, task, point)
        return self._task_shape(tx, moves.hold(tx, Fence.of(task), columns))

    async def fork_task(
        self, ref: str, n: int, body: Mapping[str, Any], key: str | None = None
    ) -> tuple[dict[str, Any], bool]:
        """Make a task that begins as this one was at a checkpoint; and whether it was made before.

        `body` may say whatever a new task may, but for its project; the rest is as it was.

        Raises:
            NotFound: there is no such checkpoint.
            Conflict: a manager's task, which has no files, or one that writes acceptance tests.
        """
        if "project" in body:
            raise Invalid("a fork stays in its project", hint="leave out project")
        task = await self._store.read(tasks.get_task, ref)
        point = await self._store.read(checkpoints.get_checkpoint, task, n)
        if task.manages:
            raise Conflict(
                f"{task.label} manages and has no files to fork", hint="fork one of its workers"
            )
        if task.writes_tests:
            raise Conflict(
                f"{task.label} writes acceptance tests, which no other task may begin with",
                hint=f"have it try again: muster task retry {task.label}",
            )
        same = {name: getattr(task, name) for name in _LIKE_THE_FIRST}
        if task.plans:  # it was split since: the checkpoint is of when it was one task
            same["playbook"] = None
        first = {"title": task.title} if "description" not in body else {}
        asked = {"project": task.project_id, "description": task.description, **first, **same}
        wanted = task_request({**asked, "paths": list(task.paths), **body})
        self._refuse_unknown(wanted)
        began = replace(point, base_commit=_stands_on(point))
        scoped = f"fork {key}" if key else None
        answer, replayed = await self._store.write(
            keys.once,
            scoped,
            {"task": task.id, "n": n, **body},
            lambda tx: self._create(tx, wanted, fork=began),
        )
        return answer, replayed


def _stands_on(point: Checkpoint) -> str:
    """What a fork's change is counted from: what was merged is its base, not its work."""
    return point.commit if point.label == checkpoints.MERGED else point.base_commit or point.commit
