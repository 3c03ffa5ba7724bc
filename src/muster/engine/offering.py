"""Passed work becomes a pull request: its branch is where people look, and it is told once."""

from __future__ import annotations

from muster.domain.task import Stage, Task
from muster.engine.conclude import show_branch
from muster.engine.tools import Job, Tools, job_of
from muster.failpoint import failpoint
from muster.store.moves import Fence, Move
from muster.store.pulls import LOCAL, Offer, offered


async def offer(tools: Tools, task: Task) -> Task:
    """Offer a task's work for review, and hand the task on; after a crash once more."""
    job = await job_of(tools, task)
    commit = str(task.result_commit)
    await show_branch(tools, job, commit)
    failpoint("offer.shown")
    made = _local(job, commit)
    failpoint("offer.made")
    step = Move(
        Fence.of(task),
        Stage.HANDED_ON,
        f"offered as {task.branch}",
        payload={"step": task.step},
        cause=task.came_by,
    )
    moved = await tools.store.write(offered, step, made)
    failpoint("offer.told")
    return moved


def _local(job: Job, commit: str) -> Offer:
    """A pull request that muster alone keeps: the branch in the person's own repository."""
    return Offer(LOCAL, job.project.id, job.task.branch, job.project.branch, commit)
