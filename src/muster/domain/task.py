"""A task: one piece of work, the states it can be in and the moves between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from muster.domain.errors import Cycle


class TaskType(StrEnum):
    """What kind of change is asked for; it decides which proof is owed."""

    FEATURE = "feature"
    BUG = "bug"
    REFACTOR = "refactor"
    TEST = "test"
    DOCUMENTATION = "documentation"
    CHORE = "chore"


class Autonomy(StrEnum):
    """How much muster may do without asking a person."""

    MANUAL = "manual"
    CONFIRM = "confirm"
    FULL = "full"


class Status(StrEnum):
    """The public state of a task, as `interfaces.md` names it."""

    PROPOSED = "proposed"
    BLOCKED = "blocked"
    QUEUED = "queued"
    PLANNING = "planning"
    EXECUTING = "executing"
    MONITORING = "monitoring"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Stage(StrEnum):
    """The internal state: where on the walk a task stands."""

    PROPOSED = "proposed"
    BLOCKED = "blocked"
    QUEUED = "queued"
    PLANNING = "planning"
    PREPARING = "preparing"
    RUNNING = "running"
    VALIDATING = "validating"
    HANDED_ON = "handed_on"
    MERGING = "merging"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


STATUS_OF: Mapping[Stage, Status] = {
    Stage.PROPOSED: Status.PROPOSED,
    Stage.BLOCKED: Status.BLOCKED,
    Stage.QUEUED: Status.QUEUED,
    Stage.PLANNING: Status.PLANNING,
    Stage.PREPARING: Status.EXECUTING,
    Stage.RUNNING: Status.EXECUTING,
    Stage.VALIDATING: Status.MONITORING,
    Stage.HANDED_ON: Status.MONITORING,
    Stage.MERGING: Status.MONITORING,
    Stage.WAITING: Status.WAITING,
    Stage.COMPLETED: Status.COMPLETED,
    Stage.FAILED: Status.FAILED,
    Stage.CANCELLED: Status.CANCELLED,
}

ACTIVE = frozenset(
    {Stage.PLANNING, Stage.PREPARING, Stage.RUNNING, Stage.VALIDATING, Stage.MERGING}
)
"""Stages in which the engine holds the task and works on it."""

HOLDS_A_SLOT = frozenset({Stage.PREPARING, Stage.RUNNING})
"""Stages that count against `max_concurrent`: a slot is held only while an agent runs."""

GOES_ON = frozenset({Stage.QUEUED, Stage.HANDED_ON, *ACTIVE})
"""Stages that a task leaves without anybody's doing, or by an event."""

TERMINAL = frozenset({Stage.COMPLETED, Stage.FAILED, Stage.CANCELLED})

_END = {Stage.FAILED, Stage.CANCELLED}
MOVES: Mapping[Stage, frozenset[Stage]] = {
    Stage.PROPOSED: frozenset({Stage.QUEUED, Stage.BLOCKED, *_END}),
    Stage.BLOCKED: frozenset({Stage.QUEUED, *_END}),
    Stage.QUEUED: frozenset(
        {Stage.PREPARING, Stage.PLANNING, Stage.BLOCKED, Stage.HANDED_ON, Stage.WAITING, *_END}
    ),
    Stage.PLANNING: frozenset(
        {Stage.PROPOSED, Stage.BLOCKED, Stage.QUEUED, Stage.WAITING, Stage.COMPLETED, *_END}
    ),
    Stage.PREPARING: frozenset({Stage.RUNNING, Stage.QUEUED, Stage.WAITING, *_END}),
    Stage.RUNNING: frozenset({Stage.VALIDATING, Stage.QUEUED, Stage.WAITING, *_END}),
    Stage.VALIDATING: frozenset(
        {Stage.MERGING, Stage.HANDED_ON, Stage.COMPLETED, Stage.QUEUED, Stage.WAITING, *_END}
    ),
    Stage.HANDED_ON: frozenset(
        {Stage.QUEUED, Stage.BLOCKED, Stage.MERGING, Stage.COMPLETED, Stage.WAITING, *_END}
    ),
    Stage.MERGING: frozenset(
        {Stage.COMPLETED, Stage.HANDED_ON, Stage.QUEUED, Stage.WAITING, *_END}
    ),
    Stage.WAITING: frozenset(
        {Stage.MERGING, Stage.HANDED_ON, Stage.QUEUED, Stage.COMPLETED, *_END}
    ),
    Stage.COMPLETED: frozenset(),
    Stage.FAILED: frozenset({Stage.QUEUED, Stage.BLOCKED}),
    Stage.CANCELLED: frozenset({Stage.QUEUED, Stage.BLOCKED}),
}
"""Which stage may follow which; a retry by a person leads back from an ended task.

Between two roles of a playbook a task is handed on: an event is on its way, or awaited.
A manager's task has nothing to merge, nor has one that writes acceptance tests: they are completed
by their verdicts. A plan waits for the tasks that it made like any task for those it needs, and is
completed with them.
"""

SOLO, MANAGER, PLAN, ACCEPTANCE = "solo", "manager", "plan", "acceptance"
"""Playbooks that events lead nowhere: one agent under supervision, a manager with its workers, or
no agent at all: a plan that muster makes of it, whose tasks are proposed.

`acceptance` is none that can be asked for: the task of who writes acceptance tests for another one.
"""

HIDDEN = ".hidden"
"""How the name of the repository ends in which work lies that no coder may see."""

OWES_PROOF = frozenset({TaskType.FEATURE, TaskType.BUG})
"""Types whose tests must fail on the base; acceptance tests are written for these."""


def may_move(here: Stage, there: Stage) -> bool:
    """Whether the walk allows the step from `here` to `there`."""
    return there in MOVES[here]


PRIORITIES = range(10)
DEFAULT_PRIORITY = 5
"""0 to 9; a higher number starts first."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task as the store holds it. Times are epoch milliseconds, costs US dollars.

    `token` is fresh for each claim and fences every write of the attempt it belongs to.
    `rev` is the number of the event that last changed the row. A worker's task names the manager's
    by `parent_id`, and `errand` is the name that the manager gave it; so do those of a plan. A fork
    began as another task (`fork_of`) was at its checkpoint `fork_point`. `acceptance_id` is the
    task that writes the acceptance tests which this one is judged by. `step` is where in its
    playbook it stands, which the event `came_by` led to; `rounds` counts how often a reviewer asked
    for changes. `cause_id` is the task because of which it was made.
    """

    id: str
    number: int
    project_id: str
    title: str
    description: str
    type: TaskType
    priority: int
    stage: Stage
    rev: int
    created_at: int
    updated_at: int
    autonomy: Autonomy | None = None
    agent: str | None = None
    runtime: str | None = None
    playbook: str | None = None
    model: str | None = None
    budget_usd: float | None = None
    timeout_minutes: float | None = None
    attempt: int = 0
    tries: int = 0
    token: str = ""
    reason: str = ""
    due_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    base_commit: str | None = None
    result_commit: str | None = None
    merged_commit: str | None = None
    paths: tuple[str, ...] = ()
    feedback: Mapping[str, Any] | None = None
    wish: str | None = None
    list_position: int | None = None
    parent_id: str | None = None
    errand: str | None = None
    image: str | None = None
    fork_of: str | None = None
    fork_point: int | None = None
    acceptance_id: str | None = None
    step: str | None = None
    came_by: int | None = None
    rounds: int = 0
    cause_id: str | None = None
    needs: tuple[str, ...] = field(default=())

    @property
    def status(self) -> Status:
        """The public state that the stage shows as."""
        return STATUS_OF[self.stage]

    @property
    def label(self) -> str:
        """The short name people use: `MU-12`."""
        return f"MU-{self.number}"

    @property
    def manages(self) -> bool:
        """Whether its agent spawns workers, and changes nothing itself."""
        return self.playbook == MANAGER

    @property
    def writes_tests(self) -> bool:
        """Whether its agent writes the acceptance tests of another task, and nothing is merged."""
        return self.playbook == ACCEPTANCE

    @property
    def repo(self) -> str:
        """The name of muster's own repository that holds its work."""
        return self.hidden_repo if self.writes_tests else self.project_id

    @property
    def hidden_repo(self) -> str:
        """The name of the repository that holds what no coder of its project may see."""
        return f"{self.project_id}{HIDDEN}"

    @property
    def plans(self) -> bool:
        """Whether it is a plan: no agent works on it, other tasks come of it."""
        return self.playbook == PLAN

    @property
    def listens(self) -> bool:
        """Whether it was given no wish: its agent stays for what people say until it sums up."""
        return self.manages and not self.description

    @property
    def branch(self) -> str:
        """The branch that carries the work; agents' branches live under `muster/`."""
        return f"muster/{self.id}"


def find_cycle(edges: Mapping[str, Iterable[str]], start: str) -> list[str] | None:
    """The first cycle reachable from `start` as a closed path, or None.

    `edges[a]` are the tasks that `a` waits for. The walk keeps its own stack, so that a chain of
    any length is fine.
    """
    path: list[str] = []
    on_path: set[str] = set()
    done: set[str] = set()
    stack: list[tuple[str, bool]] = [(start, False)]
    while stack:
        node, leaving = stack.pop()
        if leaving:
            path.pop()
            on_path.discard(node)
            done.add(node)
            continue
        if node in done:
            continue
        if node in on_path:
            return [*path[path.index(node) :], node]
        path.append(node)
        on_path.add(node)
        stack.append((node, True))
        for child in sorted(edges.get(node, ()), reverse=True):
            if child in on_path:
                return [*path[path.index(child) :], child]
            stack.append((child, False))
    return None


def refuse_cycle(edges: Mapping[str, Iterable[str]], start: str) -> None:
    """Raise `Cycle`, naming every task on it, if `start` waits for itself."""
    cycle = find_cycle(edges, start)
    if cycle:
        named = " → ".join(cycle)
        raise Cycle(
            f"these tasks would wait for each other: {named}",
            hint="leave out one of the dependencies named above",
            cycle=cycle,
        )
