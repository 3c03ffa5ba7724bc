"""The merge: verified work onto the project's branch, by trains of those that wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from pathlib import Path

from muster.domain.agent import Role
from muster.domain.errors import Conflict, GitFailed, Stale
from muster.domain.event import NewEvent
from muster.domain.playbook import MERGED as MERGED_PULL
from muster.domain.playbook import PART
from muster.domain.task import Stage, Task
from muster.engine import in_the_way, route
from muster.engine.boarding import Car, outcome
from muster.engine.conclude import show_branch
from muster.engine.deciding import refused_at_merge
from muster.engine.forge_side import Side, side_of
from muster.engine.merging_there import merge_there, refusal_there
from muster.engine.offering import offer
from muster.engine.own_settings import complete
from muster.engine.together import land_together
from muster.engine.tools import Job, Tools, in_thread, job_at
from muster.engine.train import Link, couple
from muster.engine.verifying import Tried, verify
from muster.failpoint import failpoint
from muster.store import claims
from muster.store.checkpoints import MERGED, NewCheckpoint, after
from muster.store.moves import Fence, Move, hold, move
from muster.store.pulls import PullRow, pull_of

_RACES_ALLOWED = 5


async def land(tools: Tools, task: Task) -> Task:
    """Merge accepted work and complete the task, or ask a person what stands in the way."""
    if task.step == Role.CODING:
        return await offer(tools, task)
    if task.writes_tests:  # a person chose merge: the tests are kept, and that is all there is
        kept = Move(Fence.of(task), Stage.COMPLETED, "its tests are kept, and merged nowhere")
        return await tools.store.write(move, kept)
    if task.playbook == PART:
        return await land_together(tools, task, partial(_land_one, tools), partial(_refusal, tools))
    return await _land_one(tools, task)


async def _refusal(tools: Tools, task: Task) -> Move | None:
    """The move of a part that cannot come onto its branch as that is now."""
    job = await job_at(tools, task, str(task.base_commit))
    side = await side_of(tools, job)
    if side is not None:
        return await refusal_there(tools, job, side)
    mirror = tools.workspaces.mirror(job.repo)
    target = await in_thread(mirror.fetch, Path(job.project.git_dir), job.project.branch)
    car = Car(job, (0, 0), task.updated_at)
    train = await couple(tools, [car], target)
    if train.conflicts:
        return in_the_way.conflict(job, train.conflicts[0][1], target)
    _, bad = await verify(tools, train.links)
    if bad is None:
        return None
    if bad.fault is not None:
        raise bad.fault
    return _turned_away_move(tools, bad)


async def _land_one(tools: Tools, task: Task) -> Task:
    job = await job_at(tools, task, str(task.base_commit))
    try:
        side = await side_of(tools, job) if task.step else None
        return await (_at_the_forge(tools, job, side) if side else _ride(tools, job))
    except Stale:
        raise
    except Exception:
        # Whoever is asked about it will want to see the work.
        await _show(tools, job)
        raise


async def _show(tools: Tools, job: Job) -> None:
    await show_branch(tools, job, str(job.task.result_commit))


async def _at_the_forge(tools: Tools, job: Job, side: Side) -> Task:
    merged = await merge_there(tools, job, side)
    if isinstance(merged, Move):
        return await _asked(tools, job, merged)
    return await _landed(tools, job, merged)


async def _ride(tools: Tools, job: Job) -> Task:
    """Go with the trains to the branch until one has taken the task along, or put it off."""
    rev, since = await tools.store.read(claims.began_to_merge, job.task)
    car = Car(job, (-job.task.priority, rev), since)
    platform = tools.platform(f"{job.project.git_dir} {job.project.branch}")
    return await platform.ride(car, partial(_lead, tools))


async def _lead(tools: Tools, leader: Car[Job], waiting: Sequence[Car[Job]]) -> None:
    """Take the first of those that wait to the branch as it is now, as far as they are good."""
    job = leader.job
    mirror = tools.workspaces.mirror(job.repo)
    target = await in_thread(mirror.fetch, Path(job.project.git_dir), job.project.branch)
    same = [car for car in waiting if car.job.repo == job.repo]
    cars = [car for car in same if not await _needs_no_merge(tools, car, target)]
    train = await couple(tools, cars[: job.settings.merge_batch], target)
    for car, found in train.conflicts:
        await _leaves(car, _asked(tools, car.job, in_the_way.conflict(car.job, found, target)))
    good, bad = await verify(tools, train.links)
    landed = await _land_each(tools, train.links[:good])
    if landed:
        last = train.links[landed - 1]
        spaces = tools.workspaces
        warm = in_thread(spaces.warm, last.job.repo, last.merged, near=target)
        tools.aside("getting ready for the next workspace", warm)
    if bad is not None and landed == good:
        await _leaves(train.links[good].car, _turned_away(tools, bad))


async def _leaves(car: Car[Job], how: Awaitable[Task]) -> None:
    """Let a car leave as its task is moved; a fault in that is for its own worker."""
    car.left(await outcome(how))


async def _needs_no_merge(tools: Tools, car: Car[Job], target: str) -> bool:
    """Whether a crash came after the branch had moved, or a person wants the task to end."""
    job = car.job
    if await _has_landed(tools, job, target):
        await _leaves(car, _landed_before(tools, job))
    elif tools.wish(job.task.id).is_set():
        await _leaves(car, _cancelled(tools, job))
    return car.over


async def _has_landed(tools: Tools, job: Job, target: str) -> bool:
    merged = job.task.merged_commit
    if not merged:
        return False
    return await in_thread(tools.workspaces.is_ancestor, job.repo, merged, target)


async def _landed_before(tools: Tools, job: Job) -> Task:
    await _show(tools, job)
    return await _landed(tools, job, str(job.task.merged_commit))


async def _land_each(tools: Tools, links: Sequence[Link]) -> int:
    """Move the branch to one after the other, until one does not come; how many came."""
    for n, link in enumerate(links):
        if tools.wish(link.job.task.id).is_set():
            await _leaves(link.car, _cancelled(tools, link.job))
            return n
        moved = await outcome(_move_branch(tools, link.job, link.on, link.merged))
        if moved is None:
            _lost_race(link)
            return n
        link.car.left(moved)
        if isinstance(moved, Exception) or moved.stage is Stage.WAITING:
            return n
    return len(links)


def _lost_race(link: Link) -> None:
    """The next train tries it again, but not for ever."""
    car, job = link.car, link.job
    car.races += 1
    if car.races >= _RACES_ALLOWED:
        car.left(
            GitFailed(
                f"{job.project.branch} kept moving while {job.task.label} was being merged",
                hint=f"wait until it is quiet, then: muster task merge {job.task.label}",
            )
        )


async def _turned_away(tools: Tools, tried: Tried) -> Task:
    """What becomes of work that is no good together with what the branch has now."""
    job = tried.job
    if tools.wish(job.task.id).is_set():
        return await _cancelled(tools, job)
    if tried.fault is not None:
        raise tried.fault
    await _show(tools, job)
    return await tools.store.write(move, _turned_away_move(tools, tried))


def _turned_away_move(tools: Tools, tried: Tried) -> Move:
    job = tried.job
    verdict = refused_at_merge(tools, job, tried.found)
    kept = NewCheckpoint(after(job.task.attempt), str(job.task.result_commit))
    return route.after_verdict(job, verdict, kept)


async def _cancelled(tools: Tools, job: Job) -> Task:
    ended = Move(Fence.of(job.task), Stage.CANCELLED, "cancelled by a person")
    return await _asked(tools, job, ended)


async def _asked(tools: Tools, job: Job, step: Move) -> Task:
    """Show the work, then move its task: whoever hears of it finds the branch."""
    await _show(tools, job)
    return await tools.store.write(move, step)


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
        return await _asked(tools, held, in_the_way.checkout(held, error))
    failpoint("merge.after_ref")
    return await _landed(tools, held, merged) if moved else None


async def _landed(tools: Tools, job: Job, merged: str) -> Task:
    """Complete the task, or hand it on where its playbook goes on from a merge."""
    task = job.task
    offered = await tools.store.read(pull_of, task.id) if task.step else None
    return await complete(
        tools,
        Move(
            Fence.of(task),
            Stage.HANDED_ON if task.step else Stage.COMPLETED,
            f"merged into {job.project.branch}",
            columns={"merged_commit": merged},
            events=_told(job, merged, offered),
            cause=task.came_by,
            checkpoint=NewCheckpoint(MERGED, merged),
        ),
        job.repo,
        merged,
    )


def _told(job: Job, merged: str, offered: PullRow | None) -> tuple[NewEvent, ...]:
    task = job.task
    said = {"branch": job.project.branch, "commit": merged}
    landed = NewEvent("merge.landed", task.id, said, task.project_id, task.id, task.came_by)
    if not task.step:
        return (landed,)
    said_of = said | {"number": offered.number} if offered else said
    return (landed, NewEvent(MERGED_PULL, task.id, said_of, task.project_id, task.id, task.came_by))
