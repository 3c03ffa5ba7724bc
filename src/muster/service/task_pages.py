"""What is shown of tasks: the list of them, and one with all that is known of it."""

from __future__ import annotations

import asyncio
from typing import Any

from muster.domain.acceptance import written_of
from muster.domain.errors import GitFailed, Invalid
from muster.domain.task import STATUS_OF, Stage, Status, Task
from muster.service import shapes
from muster.service.crew_pages import crew_of
from muster.service.desk import Desk
from muster.store import (
    agents,
    checkpoints,
    events,
    judgements,
    outcomes,
    papers,
    projects,
    tasks,
    workers,
)
from muster.store.acceptance import author_of, last_verdict, written_for
from muster.store.base import Tx

_TRAIL = 400


class TaskPages(Desk):
    """Everything a door can be shown of tasks."""

    async def list_tasks(
        self,
        project: str | None = None,
        status: str | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> dict[str, Any]:
        """A page of tasks, newest first; `after` is the `next` of the page before."""
        stages = _stages(status)

        def read(tx: Tx) -> dict[str, Any]:
            project_id = projects.get_project(tx, project).id if project else None
            found = tasks.list_tasks(
                tx, project_id=project_id, stages=stages, after=after, limit=limit + 1
            )
            more = found[limit:]
            page = found[:limit]
            return {
                "items": self._task_shapes(tx, page),
                "next": str(page[-1].number) if more else None,
            }

        return await self._store.read(read)

    async def get_task(self, ref: str) -> dict[str, Any]:
        """A task with its agents, verdicts, decisions, question, checkpoints and trail."""
        task = await self._store.read(tasks.get_task, ref)
        await self.measure(task)
        return await self._store.read(self._detail, task.id)

    async def measure(self, task: Task) -> None:
        """Count how large a task's change is, once per commit."""
        key = (task.project_id, task.base_commit or "", task.result_commit or "")
        if not task.base_commit or not task.result_commit or key in self._own.sizes:
            return
        try:
            changes = await asyncio.to_thread(
                self._own.workspaces.changes, task.repo, task.base_commit, task.result_commit
            )
        except GitFailed:  # the work is gone: the task is shown all the same, and says so itself
            return
        self._own.sizes[key] = {
            "files": len(changes),
            "added": sum(c.added for c in changes),
            "removed": sum(c.removed for c in changes),
        }

    def _detail(self, tx: Tx, task_id: str) -> dict[str, Any]:
        task = tasks.get_task(tx, task_id)
        verdicts = judgements.verdicts_of(tx, task_id)
        open_ones = judgements.list_breakpoints(tx, task_id=task_id)
        holds = tasks.holds_back(tx, task_id)
        asked = [shapes.breakpoint_shape(b, task, holds) for b in open_ones]
        told = [shapes.trail_shape(e) for e in events.newest(tx, _TRAIL, task_id)]
        return {
            **self._task_shape(tx, task),
            "description": task.description,
            "agents": [
                shapes.agent_shape(a, task.label)
                for a in agents.list_agents(tx, task_id=task_id, limit=200)
            ],
            "verdicts": [shapes.verdict_shape(v) for v in verdicts],
            "outcomes": [shapes.outcome_shape(o) for o in outcomes.outcomes_of(tx, task_id)],
            "decisions": [
                {
                    "attempt": v.attempt,
                    "step": str(v.decision.step),
                    "reasons": list(v.decision.reasons),
                    "time": shapes.moment(v.created_at),
                }
                for v in verdicts
            ],
            "breakpoint": asked[0] if asked else None,
            "checkpoints": [
                shapes.checkpoint_shape(c) for c in checkpoints.checkpoints_of(tx, task_id)
            ],
            "trail": [line for line in reversed(told) if line is not None],
            "plan": papers.paper_of(tx, task_id, papers.PLAN),
            "rubric": papers.paper_of(tx, task_id, papers.RUBRIC),
            "parent": self._parent(tx, task),
            "workers": self._task_shapes(tx, workers.workers_of(tx, task_id)),
            "authors": self._task_shapes(tx, workers.authors_of(tx, task_id)),
            "acceptance": _acceptance(tx, task),
            "crew": crew_of(tx, task),
        }

    def _parent(self, tx: Tx, task: Task) -> dict[str, Any] | None:
        """The task of a worker's manager."""
        return self._task_shape(tx, tasks.get_task(tx, task.parent_id)) if task.parent_id else None


def _acceptance(tx: Tx, task: Task) -> dict[str, Any] | None:
    """The acceptance tests of a task, or the tasks that a task writes them for."""
    author = task if task.writes_tests else author_of(tx, task)
    if author is None:
        return None
    said = last_verdict(tx, author)
    written = written_of(said.findings) if said else None
    return {
        "task_id": author.id,
        "label": author.label,
        "status": str(author.status),
        "tests": len(written.tests) if written else None,
        "visible": list(written.visible) if written else [],
        "hidden": list(written.hidden) if written else [],
        "judges": [each.label for each in written_for(tx, author)],
    }


def _stages(status: str | None) -> list[Stage] | None:
    if not status:
        return None
    wanted = {s.strip() for s in status.split(",") if s.strip()}
    unknown = sorted(wanted - set(Status))
    if unknown:
        raise Invalid(f"there is no status '{unknown[0]}'", hint=f"one of {', '.join(Status)}")
    return [stage for stage, shown in STATUS_OF.items() if shown in wanted]
