"""Muster's own stages of evidence, asked as the engine asks them, over runs of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points

from benchmarks.figures import Broken
from benchmarks.proof.corpus import Change
from benchmarks.proof.execute import Ran
from benchmarks.proof.trees import Tree, added_lines, changes, text
from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Finding
from muster.supervision.checks import CheckPlan
from muster.supervision.quality import judge
from muster.supervision.severity import strongest_first
from muster.supervision.stage import Beside, Case, Rides, Run, Stage

NAMES = tuple(name for name in ProjectSettings().evidence if name != "flaky")
"""The stages that a project asks unless it says otherwise, in that order.

Tests that fail at times are told apart when the corpus is read; running them again says nothing.
"""

Ask = Callable[[str, str, Beside], Ran]
"""Runs a command at a planned run's files, with what a stage gives it."""


@cache
def stages(names: tuple[str, ...] = NAMES) -> Mapping[str, Stage]:
    """Those of these names; one that is missing would make every figure another one."""
    known = {entry.name: entry for entry in entry_points(group="muster.evidence")}
    if missing := [name for name in names if name not in known]:
        raise Broken(f"muster lacks its stages {', '.join(missing)}; install it anew")
    return {name: known[name].load()() for name in names}


@dataclass
class Further:
    """What the stages found of one case, and what their runs cost by stage."""

    findings: list[Finding] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)


def case_of(
    change: Change,
    tree: Tree,
    settings: ProjectSettings,
    plan: CheckPlan,
    task_type: TaskType,
) -> Case:
    """What a stage sees before anything was run."""
    changed = changes(change.base, tree)
    added = {
        c.path: tuple(sorted(added_lines(change.base, tree, c.path)))
        for c in changed
        if c.status != "deleted"
    }
    return Case(
        task_type=task_type,
        settings=settings,
        plan=plan,
        results=(),
        changed=changed,
        added={path: lines for path, lines in added.items() if lines},
        text=lambda path: text(tree, path) if path in tree else None,
        seed=change.name,
    )


def rider(case: Case) -> tuple[str, Beside] | None:
    """How the result's own run is run so that a stage learns from it."""
    for stage in stages().values():
        if isinstance(stage, Rides) and (found := stage.ride(case)) is not None:
            return found
    return None


def further(case: Case, ask: Ask) -> Further:
    """Ask every stage until something speaks against the work."""
    found = Further()
    told = list(case.findings)
    case = _judged(case, told)
    for name, stage in stages().items():
        if case.green:
            told += _asked(name, stage, case, ask, found)
            case = _judged(case, told)
    found.findings = list(case.findings)
    return found


def _judged(case: Case, told: Sequence[Finding]) -> Case:
    base = judge(case.task_type, case.plan, case.results, case.changed)
    return replace(case, findings=strongest_first((*base, *told)))


def _asked(name: str, stage: Stage, case: Case, ask: Ask, found: Further) -> Sequence[Finding]:
    steps = stage.steps(case)
    answers = None
    while True:
        try:
            wanted: Sequence[Run] = next(steps) if answers is None else steps.send(answers)
        except StopIteration as end:
            return end.value.findings
        ran = [(run, ask(run.at, run.command, run.beside)) for run in wanted]
        found.seconds[name] = found.seconds.get(name, 0.0) + sum(r.result.seconds for _, r in ran)
        found.cpu[name] = found.cpu.get(name, 0.0) + sum(r.cpu for _, r in ran)
        answers = [r.named(run.name) for run, r in ran]
