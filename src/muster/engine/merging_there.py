"""The merge at a forge: the work is checked upon the branch as it is there, then merged there."""

from __future__ import annotations

import asyncio

from muster.domain.errors import Conflict
from muster.domain.task import Stage, Task
from muster.domain.verdict import OPTIONS, BreakpointKind, vetoed
from muster.engine import in_the_way, route
from muster.engine.deciding import refused_at_merge
from muster.engine.evidence import as_changes, evidence
from muster.engine.forge_side import Side, bring_home, fetch
from muster.engine.tools import Job, Tools, in_thread, job_at
from muster.failpoint import failpoint
from muster.forge.base import ChecksState, Pull, PullState
from muster.store import projects, routing
from muster.store.base import Tx
from muster.store.checkpoints import NewCheckpoint, after
from muster.store.judgements import NewBreakpoint, verdicts_of
from muster.store.moves import Fence, Move
from muster.store.pulls import PullRow, pull_of
from muster.workspace.workspaces import Conflicted

_LOOK = 5.0
"""Seconds between looks at checks of the forge that have not ended."""
_METHODS = {"merge": "merge", "rebase": "rebase", "squash": "squash"}


async def merge_there(tools: Tools, job: Job, side: Side) -> str | Move:
    """The commit that came of the merge, or the move of a task that was not merged.

    What was merged before a crash is found merged.
    """
    row = await tools.store.read(_pull, job.task)
    async with tools.lock(f"forge {side.repo} {job.project.branch}"):
        pull = await side.forge.pull(side.repo, row.number)
        if pull.state is not PullState.MERGED:
            refused = await _refusal(tools, job, side, row, pull)
            if refused is not None:
                return refused
            failpoint("forge.before_merge")
            try:
                pull = await _merge(job, side, row)
            except Conflict as no:
                return _asked(job, no.detail)
            failpoint("forge.after_merge")
        project = await tools.store.read(projects.get_project, job.project.id)
        head = await bring_home(tools, project, side)
        return pull.merged_commit or head


async def refusal_there(tools: Tools, job: Job, side: Side) -> Move | None:
    """The move of work that cannot be merged there as things are; None where it can."""
    row = await tools.store.read(_pull, job.task)
    pull = await side.forge.pull(side.repo, row.number)
    merged = pull.state is PullState.MERGED
    return None if merged else await _refusal(tools, job, side, row, pull)


def _judged(tx: Tx, task: Task) -> str | None:
    """The newest work of the task's coder that was judged; what people pushed was not."""
    cases = [verdict.case for verdict in verdicts_of(tx, task.id) if verdict.case]
    return next((str(c["commit"]) for c in reversed(cases) if c.get("commit")), None)


def _pull(tx: Tx, task: Task) -> PullRow:
    row = pull_of(tx, task.id)
    if row is None:
        raise Conflict(f"{task.label} has no pull request", hint="retry the task")
    return row


async def _merge(job: Job, side: Side, row: PullRow) -> Pull:
    task = job.task
    method = _METHODS[job.settings.merge_method]
    message = f"Merge {task.label}: {task.title}"
    return await side.forge.merge(side.repo, row.number, method, row.head, message)


async def _refusal(tools: Tools, job: Job, side: Side, row: PullRow, pull: Pull) -> Move | None:
    """The move of work that is not to be merged as it is; None where nothing stands in the way."""
    if pull.state is PullState.CLOSED:
        return _asked(job, f"pull request {pull.number} was closed")
    checks = await _ended_checks(tools, job, side, row)
    if tools.wish(job.task.id).is_set():
        return Move(Fence.of(job.task), Stage.CANCELLED, "cancelled by a person")
    if checks is not None:
        return _asked(job, checks)
    if await tools.store.read(routing.wants_changes, job.task.id):
        return Move(Fence.of(job.task), Stage.HANDED_ON, "changes are asked for")
    return await _upon_the_branch(tools, job, side, row)


async def _ended_checks(tools: Tools, job: Job, side: Side, row: PullRow) -> str | None:
    """Why the forge's own checks do not let it pass; they are waited for while they run."""
    until = tools.clock() + 60 * job.settings.check_timeout_minutes
    while not tools.wish(job.task.id).is_set():
        state = await side.forge.checks(side.repo, row.head)
        if state is ChecksState.FAILED:
            return f"checks of {side.forge.name} failed for pull request {row.number}"
        if state is not ChecksState.PENDING:
            return None
        if tools.clock() > until:
            return f"checks of {side.forge.name} did not end for pull request {row.number}"
        await asyncio.sleep(_LOOK)
    return None


async def _upon_the_branch(tools: Tools, job: Job, side: Side, row: PullRow) -> Move | None:
    """Check what the merge will be upon the branch as it is at the forge."""
    own = job.settings
    target = await fetch(tools, job.repo, side, job.project.branch)
    made = await in_thread(
        tools.workspaces.merge,
        job.repo,
        target,
        row.head,
        own.merge_method,
        f"Merge {job.task.label}: {job.task.title}",
        own.git_user_name,
        own.git_user_email,
        when=row.updated_at,
    )
    if isinstance(made, Conflicted):
        return in_the_way.conflict(job, made, target)
    task = job.task
    judged = await tools.store.read(_judged, task)
    if target == task.base_commit and row.head == judged:
        return None
    changes = await in_thread(tools.workspaces.changes, job.repo, target, made.commit)
    at = await job_at(tools, task, target)
    where = tools.run_dir(f"merge-{task.id}-{task.attempt}") / "checks"
    found = await evidence(tools, at, None, target, made.commit, as_changes(changes), where)
    if not vetoed(found):
        return None
    kept = NewCheckpoint(after(task.attempt), str(task.result_commit))
    return route.after_verdict(at, refused_at_merge(tools, at, found), kept)


def _asked(job: Job, why: str) -> Move:
    """Ask a person about what the forge refuses."""
    kind = BreakpointKind.EVIDENCE
    ask = NewBreakpoint(
        kind,
        f"{job.task.label} cannot be merged: {why}. Try the merge again?",
        tuple(map(str, OPTIONS[kind])),
        {"reasons": [why]},
    )
    return Move(Fence.of(job.task), Stage.WAITING, why, ask=ask)
