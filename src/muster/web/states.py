"""What state a task shows: one resolver with one total order, and how each state looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from muster.domain.task import Stage, Status


class State(StrEnum):
    """The states a person sees; the order of the members is the order of precedence."""

    NEEDS_YOU = "needs_you"
    FAILED = "failed"
    RUNNING = "running"
    PLANNING = "planning"
    REVIEW = "review"
    BLOCKED = "blocked"
    QUEUED = "queued"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Look:
    """A state's word and its tone; the shape has the state's own name in `glyph.html`."""

    word: str
    tone: str


LOOKS: Mapping[State, Look] = {
    State.NEEDS_YOU: Look("Needs you", "you"),
    State.FAILED: Look("Failed", "bad"),
    State.RUNNING: Look("Running", "run"),
    State.PLANNING: Look("Planning", "run"),
    State.REVIEW: Look("Being checked", "rev"),
    State.BLOCKED: Look("Blocked", "idle"),
    State.QUEUED: Look("Queued", "idle"),
    State.PAUSED: Look("Paused", "idle"),
    State.DONE: Look("Done", "ok"),
    State.CANCELLED: Look("Cancelled", "idle"),
}


_SHOWN: Mapping[Status, State] = {
    Status.PROPOSED: State.QUEUED,
    Status.BLOCKED: State.BLOCKED,
    Status.QUEUED: State.QUEUED,
    Status.PLANNING: State.PLANNING,
    Status.EXECUTING: State.RUNNING,
    Status.MONITORING: State.REVIEW,
    Status.WAITING: State.REVIEW,
    Status.COMPLETED: State.DONE,
    Status.FAILED: State.FAILED,
    Status.CANCELLED: State.CANCELLED,
}


def candidates(status: Status, asked: bool, held: bool) -> frozenset[State]:
    """Every state that is true of a task.

    `asked` means that an open decision row exists, and nothing else; `held` that the fleet is
    paused, so that nothing new starts.
    """
    own = _SHOWN[status]
    if held and own is State.QUEUED:
        own = State.PAUSED
    return frozenset({own, State.NEEDS_YOU} if asked else {own})


def resolve(status: Status, *, asked: bool, held: bool) -> State:
    """The one state that is shown: the first in the order of those that are true."""
    true = candidates(status, asked, held)
    return next(state for state in State if state in true)


STEPS = ("Prepare", "Code", "Check", "Decide", "Merge")
"""The walk of a task, as its five-part bar shows it."""

_STANDS_AT: Mapping[str, int] = {
    Stage.PREPARING: 0,
    Stage.RUNNING: 1,
    Stage.VALIDATING: 2,
    Stage.WAITING: 3,
    Stage.MERGING: 4,
}


def standing(task: Mapping[str, Any]) -> int:
    """At which of the five steps a task stands; -1 before the first, 5 after the last.

    A task that ended without a merge stands where its work stopped: at the check when there was a
    result to check, at the coding when an agent had begun.
    """
    at = _STANDS_AT.get(task["stage"])
    if at is not None:
        return at
    if task["stage"] == Stage.COMPLETED:
        return len(STEPS)
    if task["stage"] in {Stage.FAILED, Stage.CANCELLED}:
        return 2 if task.get("result_commit") else 1 if task.get("attempt") else -1
    return -1


_TONE_OF_STEP: Mapping[State, str] = {
    State.NEEDS_YOU: "w",
    State.FAILED: "x",
    State.REVIEW: "v",
    State.CANCELLED: "d",
}


def bar(task: Mapping[str, Any], state: State) -> tuple[str, ...]:
    """The five parts of the bar: `d` done, `c` working, `v` checking, `w` waiting, `x` failed."""
    at = standing(task)
    here = _TONE_OF_STEP.get(state, "c")
    return tuple("d" if n < at else here if n == at else "" for n in range(len(STEPS)))
