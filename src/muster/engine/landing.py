"""The merge: verified work onto the project's branch, one at a time per branch."""

from __future__ import annotations

from pathlib import Path

from muster.domain.agent import Outcome, Role
from muster.domain.errors import Conflict, GitFailed, Stale
from muster.domain.event import NewEvent
from muster.domain.playbook import MERGED as MERGED_PULL
from muster.domain.task import Stage, Task
from muster.domain.verdict import OPTIONS, BreakpointKind, Finding, Verdict, vetoed
from muster.engine import route
from muster.engine.conclude import show_branch
from muster.engine.deciding import policy_of, verdict_of
from muster.engine.evidence import as_changes, evidence
from muster.engine.offering import offer
from muster.engine.own_settings import complete
from muster.engine.tools import Job, Tools, in_thread, job_at, program_name
from muster.failpoint import failpoint
from muster.store.checkpoints import MERGED, NewCheckpoint, after
from muster.store.judgements import NewBreakpoint, verdicts_of
from muster.store.moves import Fence, Move, hold, move
from muster.supervision.case import About, Case
from muster.supervision.decide import newly_open
from muster.workspace.workspaces import Conflicted, Merged

_RACES_ALLOWED = 5


async def land(tools: Tools, task: Task) -> Task:
    """Merge accepted work and complete the task, or ask a person what stands in the way."""
    if task.step == Role.CODING:
        return await offer(tools, task)
    if task.writes_tests:  # a person chose merge: the tests are kept, and that is all there is
        kept = Move(Fence.of(task), Stage.COMPLETED, "its tests are kept, and merged nowhere")
        return await tools.store.write(move, kept)
    job = await job_at(tools, task, str(task.base_commit))
    try:
        return await _race(tools, job)
    except Stale:
        raise
    except Exception:
        # Whoever is asked about it will want to see the work.
        await _show(tools, job)
        raise


async def _show(tools: Tools, job: Job) -> None:
    await show_branch(tools, job, str(job.task.result_commit))


async def _race(tools: Tools, job: Job) -> Task:
    """Try until the branch stands still."""
    async with tools.lock(f"branch {job.project.git_dir} {job.project.branch}"):
        for _ in range(_RACES_ALLOWED):
            moved = await _try(tools, job)
            if moved is not None:
                return moved
    task = job.task
    raise GitFailed(
        f"{job.project.branch} kept moving while {task.label} was being merged",
        hint=f"wait until it is quiet, then: muster task merge {task.label}",
    )


async def _try(tools: Tools, job: Job) -> Task | None:
    """One try against the branch as it is now; None when it moved meanwhile."""
    task = job.task
    mirror = tools.workspaces.mirror(job.repo)
    target = await in_thread(mirror.fetch, Path(job.project.git_dir), job.project.branch)
    if task.merged_commit:
        done = await in_thread(tools.workspaces.is_ancestor, job.repo, task.merged_commit, target)
        if done:
            await _show(tools, job)
            return await _landed(tools, job, task.merged_commit)
    outcome = await in_thread(
        tools.workspaces.merge,
        job.repo,
        target,
        str(task.result_commit),
        job.settings.merge_method,
        f"Merge {task.label}: {task.title}",
        job.settings.git_user_name,
        job.settings.git_user_email,
    )
    if isinstance(outcome, Conflicted):
        return await _conflict(tools, job, outcome, target)
    if target != task.base_commit:
        refused = await _verify_again(tools, job, target, outcome)
        if refused is not None:
            return refused
    return await _move_branch(tools, job, target, outcome.commit)


async def _verify_again(tools: Tools, job: Job, target: str, merged: Merged) -> Task | None:
    """Check the merged result when the branch has moved since the base; None when it passes.

    What was open before is no news: a person has decided about it.
    """
    job = await job_at(tools, job.task, target)
    changes = await in_thread(tools.workspaces.changes, job.repo, target, merged.commit)
    if not changes:  # the branch has all of it already
        return None
    changed = as_changes(changes)
    where = tools.run_dir(f"merge-{job.task.id}-{job.task.attempt}") / "checks"
    found = await evidence(tools, job, None, target, merged.commit, changed, where)
    cancelled = tools.wish(job.task.id).is_set()
    known = await tools.store.read(verdicts_of, job.task.id)
    if not cancelled and not vetoed(found) and not newly_open(known, found):
        return None
    await _show(tools, job)
    if cancelled:
        return await tools.store.write(
            move, Move(Fence.of(job.task), Stage.CANCELLED, "cancelled by a person")
        )
    verdict = _refused(tools, job, found)
    kept = NewCheckpoint(after(job.task.attempt), str(job.task.result_commit))
    return await tools.store.write(move, route.after_verdict(job, verdict, kept))


def _refused(tools: Tools, job: Job, found: tuple[Finding, ...]) -> Verdict:
    task = job.task
    case = Case(
        findings=found,
        policy=policy_of(tools, job),
        outcome=Outcome.COMPLETED,
        tries=task.tries,
        about=About.MERGE,
        label=task.label,
        branch=job.project.branch,
        agent=program_name(tools, job),
        base=task.base_commit,
        commit=task.result_commit,
    )
    return verdict_of(tools, job, case, None)


async def _conflict(tools: Tools, job: Job, outcome: Conflicted, target: str) -> Task:
    paths = [
        {"path": p.path, "base": p.base, "ours": p.ours, "theirs": p.theirs, "conflict": p.marked}
        for p in outcome.paths
    ]
    names = ", ".join(p.path for p in outcome.paths[:5])
    await _show(tools, job)
    return await tools.store.write(
        move,
        Move(
            Fence.of(job.task),
            Stage.WAITING,
            f"it conflicts with {job.project.branch} in {names}",
            ask=NewBreakpoint(
                BreakpointKind.CONFLICT,
                f"{job.task.label} and {job.project.branch} changed the same lines of {names}",
                tuple(map(str, OPTIONS[BreakpointKind.CONFLICT])),
                {"paths": paths, "target": target, "branch": job.task.branch},
            ),
        ),
    )


async def _move_branch(tools: Tools, job: Job, target: str, merged: str) -> Task | None:
    """Record the commit, then move the branch to it; again after a crash finds it moved."""
    task = await tools.store.write(hold, Fence.of(job.task), {"merged_commit": merged})
    held = Job(task, job.project, job.autonomy)
    failpoint("merge.before_ref")
    try:
        moved = await in_thread(
            tools.workspaces.land,
            job.repo,
            Path(job.project.git_dir),
            Path(job.project.work_tree) if job.project.work_tree else None,
            job.project.branch,
            target,
            merged,
            trusted_config=job.project.trusted_config,
            show=(task.branch, str(task.result_commit)),
        )
    except Conflict as error:
        return await _checkout_in_the_way(tools, held, error)
    failpoint("merge.after_ref")
    if not moved:
        return None
    done = await _landed(tools, held, merged)
    warm = in_thread(tools.workspaces.warm, job.repo, merged, near=target)
    tools.aside("getting ready for the next workspace", warm)
    return done


async def _checkout_in_the_way(tools: Tools, job: Job, error: Conflict) -> Task:
    await _show(tools, job)
    return await tools.store.write(
        move,
        Move(
            Fence.of(job.task),
            Stage.WAITING,
            error.detail,
            ask=NewBreakpoint(
                BreakpointKind.CHECKOUT,
                f"{error.detail}. {error.hint}",
                tuple(map(str, OPTIONS[BreakpointKind.CHECKOUT])),
                {"branch": job.task.branch, "detail": error.detail, **error.extra},
            ),
        ),
    )


async def _landed(tools: Tools, job: Job, merged: str) -> Task:
    """Complete the task, or hand it on where its playbook goes on from a merge."""
    task = job.task
    return await complete(
        tools,
        Move(
            Fence.of(task),
            Stage.HANDED_ON if task.step else Stage.COMPLETED,
            f"merged into {job.project.branch}",
            columns={"merged_commit": merged},
            events=_told(job, merged),
            cause=task.came_by,
            checkpoint=NewCheckpoint(MERGED, merged),
        ),
        job.repo,
        merged,
    )


def _told(job: Job, merged: str) -> tuple[NewEvent, ...]:
    task = job.task
    said = {"branch": job.project.branch, "commit": merged}
    landed = NewEvent("merge.landed", task.id, said, task.project_id, task.id, task.came_by)
    if not task.step:
        return (landed,)
    return (landed, NewEvent(MERGED_PULL, task.id, said, task.project_id, task.id, task.came_by))
