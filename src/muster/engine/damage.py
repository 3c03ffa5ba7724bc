"""Work that is gone when the server starts: taken back from the user's repository, or rolled back.

A disk that lost files, or a person who cleared up, may leave the database naming a commit that
muster's own repository has no more. A task that waits or is queued then goes on from the last
checkpoint that is whole, and says so; one that is at work meets the fault itself.
"""

from __future__ import annotations

import logging
from pathlib import Path

from muster.domain.errors import MusterError, Stale
from muster.domain.task import Stage, Task
from muster.domain.verdict import Checkpoint
from muster.engine.tools import Tools, in_thread, job_of
from muster.store import tasks
from muster.store.base import Tx
from muster.store.checkpoints import checkpoints_of, tell_restored, work_at
from muster.store.moves import Fence, hold

log = logging.getLogger("muster.engine")

_RESTS = (Stage.QUEUED, Stage.BLOCKED, Stage.WAITING)
_MOST = 10_000


async def mend_damage(tools: Tools) -> list[Task]:
    """Look at the work of every task that rests; those that were put back."""
    found = await tools.store.read(_with_work)
    return [task for each in found if (task := await _mended(tools, each)) is not None]


def _with_work(tx: Tx) -> list[Task]:
    return [t for t in tasks.list_tasks(tx, stages=_RESTS, limit=_MOST) if t.result_commit]


async def _mended(tools: Tools, task: Task) -> Task | None:
    lost = str(task.result_commit)
    job = await job_of(tools, task)
    if await in_thread(_is_whole, tools, job.repo, lost):
        return None
    user = Path(job.project.git_dir)
    if await in_thread(_taken_back, tools, job.repo, user, task.branch, lost):
        log.warning("commit %s of %s was gone and taken from %s", lost[:12], task.label, user)
        return None
    points = await tools.store.read(checkpoints_of, task.id)
    good = None
    for point in reversed(points):
        if point.commit != lost and await in_thread(_is_whole, tools, job.repo, point.commit):
            good = point
            break
    log.warning("%s: %s", task.label, _why(lost, good))
    try:
        return await tools.store.write(_put_back, task, lost, good)
    except Stale:  # it has begun meanwhile
        return None


def _is_whole(tools: Tools, repo: str, commit: str) -> bool:
    """Whether the commit and the tree that it names are there."""
    mirror = tools.workspaces.mirror(repo)
    try:
        return mirror.has(commit) and mirror.has(mirror.tree_of(commit))
    except (MusterError, OSError):
        return False


def _taken_back(tools: Tools, repo: str, user: Path, branch: str, commit: str) -> bool:
    """Whether the user's repository still shows the work, and it could be fetched from there."""
    mirror = tools.workspaces.mirror(repo)
    try:
        tip = mirror.fetch(user, branch)
    except (MusterError, OSError):
        return False
    if tip != commit or not _is_whole(tools, repo, commit):
        return False
    mirror.keep(f"refs/muster/rescue/{commit}", commit)
    return True


def _put_back(tx: Tx, task: Task, lost: str, good: Checkpoint | None) -> Task:
    why = _why(lost, good)
    columns = work_at(good, task.base_commit) if good else {"result_commit": None}
    rev = tell_restored(tx, task, good, why)
    return hold(tx, Fence.of(task), {**columns, "reason": why, "rev": rev})


def _why(lost: str, good: Checkpoint | None) -> str:
    gone = f"its work (commit {lost[:12]}) was gone when the server started"
    if good is None:
        return f"{gone}, and no checkpoint of it is whole: it begins anew"
    return f"{gone}: it is back at checkpoint {good.n} ({good.label})"
