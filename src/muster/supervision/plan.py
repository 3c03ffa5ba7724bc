"""A plan as a model proposes it, and what is wrong with it; pure.

What a model says is a stranger's word. Each fault is a sentence that the model is told, so that it
can mend its answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from muster.domain.task import TaskType, find_cycle
from muster.supervision.proposed_command import fault_of_command

MOST_TASKS = 20
LONGEST_MINUTES = 24 * 60
LEAST_CONFIDENCE = 0.6
"""Below it a plan is not made: the model's questions go to a person."""
_KEY = re.compile(r"[a-z][a-z0-9-]{0,29}")
_MOST_FILES, _LONGEST_PATH = 40, 300
_OFF_LIMITS = frozenset({".git", ".muster"})


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan may stand on: the agents and places there are, and the project's own programs.

    It has `least` tasks: more than one where one was too much. Unless it `may_ask`, the questions
    have had their answers, and it has tasks however unsure it is.
    """

    agents: Collection[str]
    places: Collection[str]
    programs: Collection[str] = ()
    least: int = 1
    may_ask: bool = True


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One task of a plan. `checks` are in words, `commands` argument lists, `files` a guess."""

    key: str
    title: str
    description: str
    type: TaskType
    after: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    files: tuple[str, ...] = ()
    minutes: float | None = None
    agent: str = ""
    agent_why: str = ""
    isolation: str = ""
    isolation_why: str = ""

    def as_json(self) -> dict[str, Any]:
        """What a paper keeps of it beside the task's own row."""
        return {
            "key": self.key,
            "after": list(self.after),
            "checks": list(self.checks),
            "commands": [list(argv) for argv in self.commands],
            "files": list(self.files),
            "minutes": self.minutes,
            "agent": self.agent,
            "agent_why": self.agent_why,
            "isolation": self.isolation,
            "isolation_why": self.isolation_why,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks for a wish, how sure whoever made it is (None: nobody said), and what it would ask."""

    type: TaskType
    summary: str
    confidence: float | None
    tasks: tuple[PlannedTask, ...]
    questions: tuple[str, ...] = field(default=())

    @property
    def is_unsure(self) -> bool:
        """Whether a person should answer something before it counts."""
        return self.confidence is not None and self.confidence < LEAST_CONFIDENCE


def faults_of(plan: Plan, ground: Ground) -> list[str]:
    """Everything that is wrong with a plan, each in a sentence."""
    if not plan.tasks:
        if not ground.may_ask:
            return ["there are no tasks; you have asked enough, so plan as well as you can"]
        asks = plan.is_unsure and plan.questions
        return [] if asks else ["there are no tasks; without tasks, ask questions"]
    faults = [*_faults_together(plan.tasks), *_faults_each(plan.tasks, ground)]
    if len(plan.tasks) < ground.least:
        faults.append(f"one task is what was refused; split it into at least {ground.least}")
    return faults


def _faults_together(tasks: Sequence[PlannedTask]) -> Iterator[str]:
    if len(tasks) > MOST_TASKS:
        yield f"{len(tasks)} tasks are too many; at most {MOST_TASKS}"
    keys = [task.key for task in tasks]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"the key '{key}' is given to more than one task"
    known = set(keys)
    for task in tasks:
        for key in task.after:
            if key not in known:
                yield f"'{task.key}' comes after '{key}', which is no task of the plan"
    edges = {task.key: task.after for task in tasks}
    cycle = next(filter(None, (find_cycle(edges, key) for key in keys)), None)
    if cycle:
        yield f"these tasks wait for each other: {' → '.join(cycle)}"


def _faults_each(tasks: Sequence[PlannedTask], ground: Ground) -> Iterator[str]:
    for task in tasks:
        for fault in (*_faults_said(task), *_faults_named(task, ground)):
            yield f"task '{task.key[:40]}': {fault}"


def _faults_said(task: PlannedTask) -> Iterator[str]:
    """What can be seen of a task by itself."""
    if not _KEY.fullmatch(task.key):
        yield "its key must be small letters, digits and dashes, at most 30"
    if task.minutes is None or not 1 <= task.minutes <= LONGEST_MINUTES:
        yield f"minutes must be from 1 to {LONGEST_MINUTES}"
    if not task.checks:
        yield "it names no check by which one sees that it is done"
    if len(task.files) > _MOST_FILES:
        yield f"{len(task.files)} files are too many; at most {_MOST_FILES}"
    for path in task.files:
        if fault := fault_of_path(path):
            yield f"the file '{path[:80]}' {fault}"


def _faults_named(task: PlannedTask, ground: Ground) -> Iterator[str]:
    """What it names that there is not, or that it may not have."""
    if task.agent not in ground.agents:
        yield f"there is no agent '{task.agent}'; agents: {_listed(ground.agents)}"
    if task.isolation not in ground.places:
        yield f"it may not run in '{task.isolation}'; places: {_listed(ground.places)}"
    for argv in task.commands:
        if fault := fault_of_command(argv, ground.programs):
            yield f"the command {' '.join(argv)[:80]!r} {fault}"


def fault_of_path(path: str) -> str:
    """Why a path cannot be one of the repository's files; empty where it can."""
    parts = path.split("/")
    if not path or len(path) > _LONGEST_PATH or not path.isprintable() or "\\" in path:
        return "is no path"
    if path.startswith(("/", "~")) or ".." in parts or ":" in parts[0]:
        return "leaves the repository"
    if parts[0].lower() in _OFF_LIMITS:
        return "is not for agents"
    return ""


def in_order(tasks: Sequence[PlannedTask]) -> list[PlannedTask]:
    """The tasks of a sound plan, each after those that it needs, else as they were given."""
    left, done, ordered = list(tasks), set[str](), list[PlannedTask]()
    while left:
        ready = next(task for task in left if done.issuperset(task.after))
        left.remove(ready)
        done.add(ready.key)
        ordered.append(ready)
    return ordered


def one_task(wish: str, kind: TaskType, title: str, agent: str, place: str, why: str) -> Plan:
    """The plan that needs no model: the wish as the only task, with nothing claimed about it.

    It is done by the agent, and at the place, that would be taken anyway.
    """
    usual = "what is taken where nothing is chosen"
    task = PlannedTask(
        key="all",
        title=title,
        description=wish,
        type=kind,
        agent=agent,
        agent_why=usual,
        isolation=place,
        isolation_why=usual,
    )
    return Plan(kind, f"One task in your own words: {why}.", None, (task,))


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
