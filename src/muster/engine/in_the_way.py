"""What a person is asked when accepted work cannot come to where it goes."""

from __future__ import annotations

from muster.domain.errors import Conflict
from muster.domain.task import Stage
from muster.domain.verdict import OPTIONS, BreakpointKind
from muster.engine.tools import Job
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move
from muster.workspace.workspaces import Conflicted


def conflict(job: Job, outcome: Conflicted, target: str) -> Move:
    """The branch, at `target`, and the work changed the same lines."""
    paths = [
        {"path": p.path, "base": p.base, "ours": p.ours, "theirs": p.theirs, "conflict": p.marked}
        for p in outcome.paths
    ]
    names = ", ".join(p.path for p in outcome.paths[:5])
    return Move(
        Fence.of(job.task),
        Stage.WAITING,
        f"it conflicts with {job.project.branch} in {names}",
        ask=NewBreakpoint(
            BreakpointKind.CONFLICT,
            f"{job.task.label} and {job.project.branch} changed the same lines of {names}",
            tuple(map(str, OPTIONS[BreakpointKind.CONFLICT])),
            {"paths": paths, "target": target, "branch": job.task.branch},
        ),
    )


def offer(job: Job, error: Conflict) -> Move:
    """The forge does not take the work: its branch there has what is none of it."""
    kind = BreakpointKind.PROBLEM
    return Move(
        Fence.of(job.task),
        Stage.WAITING,
        error.detail,
        ask=NewBreakpoint(
            kind,
            f"The work of {job.task.label} could not be offered: {error.detail}. {error.hint}",
            tuple(map(str, OPTIONS[kind])),
            {"branch": job.task.branch, "detail": error.detail},
        ),
    )


def checkout(job: Job, error: Conflict) -> Move:
    """A checkout of the branch is not as it has to be."""
    return Move(
        Fence.of(job.task),
        Stage.WAITING,
        error.detail,
        ask=NewBreakpoint(
            BreakpointKind.CHECKOUT,
            f"{error.detail}. {error.hint}",
            tuple(map(str, OPTIONS[BreakpointKind.CHECKOUT])),
            {"branch": job.task.branch, "detail": error.detail, **error.extra},
        ),
    )
