"""Passed work becomes a pull request: its branch is where people look, and it is told once."""

from __future__ import annotations

from muster.domain.errors import Conflict
from muster.domain.plain import plain_line
from muster.domain.task import Stage, Task
from muster.engine import in_the_way
from muster.engine.conclude import show_branch
from muster.engine.forge_side import Side, push, side_of
from muster.engine.tools import Job, Tools, job_of
from muster.failpoint import failpoint
from muster.forge.base import NewPull
from muster.store.base import Tx
from muster.store.judgements import verdicts_of
from muster.store.moves import Fence, Move, move
from muster.store.papers import ANALYSIS, paper_of
from muster.store.pulls import LOCAL, Offer, offered

_MOST_FINDINGS = 12


async def offer(tools: Tools, task: Task) -> Task:
    """Offer a task's work for review, and hand the task on; after a crash once more."""
    job = await job_of(tools, task)
    commit = str(task.result_commit)
    await show_branch(tools, job, commit)
    failpoint("offer.shown")
    side = await side_of(tools, job)
    try:
        made = await _at_the_forge(tools, job, side, commit) if side else _local(job, commit)
    except Conflict as no:  # such as commits of somebody else on its branch there
        return await tools.store.write(move, in_the_way.offer(job, no))
    failpoint("offer.made")
    step = Move(
        Fence.of(task),
        Stage.HANDED_ON,
        f"offered as {made.url or task.branch}",
        payload={"step": task.step},
        cause=task.came_by,
    )
    moved = await tools.store.write(offered, step, made)
    failpoint("offer.told")
    return moved


def _local(job: Job, commit: str) -> Offer:
    """A pull request that muster alone keeps: the branch in the person's own repository."""
    return Offer(LOCAL, job.project.id, job.task.branch, job.project.branch, commit)


async def _at_the_forge(tools: Tools, job: Job, side: Side, commit: str) -> Offer:
    await push(tools, job, side, commit)
    failpoint("offer.pushed")
    body = await tools.store.read(_body, job.task)
    new = NewPull(job.task.branch, job.project.branch, job.task.title, body)
    pull = await side.forge.open_pull(side.repo, new)
    return Offer(side.forge.name, side.repo, new.branch, new.base, commit, pull.number, pull.url)


def _body(tx: Tx, task: Task) -> str:
    """What people read: the task, how it was planned, and what shows that the work is good."""
    analysis = paper_of(tx, task.id, ANALYSIS)
    verdicts = verdicts_of(tx, task.id)
    found = verdicts[-1].findings if verdicts else ()
    lines = [f"- {finding.severity}: {plain_line(finding.text, 300)}" for finding in found]
    parts = [
        task.description.strip(),
        f"## Analysis\n\n{analysis['analysis']}" if analysis else "",
        "## Evidence\n\n" + "\n".join(lines[:_MOST_FINDINGS]) if lines else "",
        f"{task.label}, by muster",
    ]
    return "\n\n".join(part for part in parts if part)
