"""What becomes of one variant: its truth, what muster's own functions find, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.proof.corpus import Change
from benchmarks.proof.defects import GOOD, Variant
from benchmarks.proof.execute import PYTEST, Ran, Runner
from benchmarks.proof.further import case_of, further, rider
from benchmarks.proof.trees import Tree, changes, part, without
from muster.domain.acceptance import file_of
from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.checks import CheckRun, plan_checks
from muster.supervision.evidence import BASE, RESULT, CheckResult
from muster.supervision.ride import tells
from muster.supervision.seen import Watched, measuring, reach_of, watched
from muster.supervision.stage import Beside

RIGHT, WRONG, UNSHOWN = "right", "wrong", "right or untested"
LINT = (
    "python -m ruff check --isolated --no-cache --select E9,F --ignore F401"
    " --output-format concise {root}"
)
"""Errors of the certain kind; F401 is left out, since packages import names to hand them on."""
TYPE = TaskType.FEATURE
STAGE_PATIENCE = 3
"""A run that measures may take so much longer."""


@dataclass(frozen=True)
class Outcome:
    """One case: whose it is, what is true of it, what was found, and seconds by stage.

    `seconds` and `cpu` are what the stages took beyond the cached base run, `suite` and
    `suite_cpu` what that run takes.
    """

    project: str
    change: str
    kind: str
    what: str
    truth: str
    failing: int
    alone: bool
    findings: tuple[Finding, ...]
    seconds: dict[str, float]
    cpu: dict[str, float]
    suite: float
    suite_cpu: float
    broken: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        """The release that the change is of, or is a part of."""
        return " ".join(self.change.split()[:2])

    def document(self) -> dict[str, Any]:
        """The case for `--json`; of the findings only what a table may ask."""
        return {
            "project": self.project,
            "change": self.change,
            "kind": self.kind,
            "what": self.what,
            "truth": self.truth,
            "failing": self.failing,
            "findings": [[f.code, str(f.severity)] for f in self.findings],
            "seconds": self.seconds,
            "cpu": self.cpu,
        }


def settings_of(change: Change) -> ProjectSettings:
    """A project's settings as muster would have them for this recipe."""
    recipe = change.recipe
    return replace(
        ProjectSettings(),
        test_command=recipe.command,
        lint_command=LINT.format(root=recipe.root),
        test_paths=recipe.tests,
    )


def outcome_of(change: Change, variant: Variant, runner: Runner) -> Outcome:
    """Run what muster would run of it, and the release's own tests besides."""
    settings = settings_of(change)
    changed = changes(change.base, variant.tree)
    plan = plan_checks(TYPE, settings, changed, base_files=change.base, runner=PYTEST)
    case = case_of(change, variant.tree, settings, plan, TYPE)
    ridden = rider(case)
    ran = {run.name: _run(change, variant.tree, run, runner, ridden) for run in plan.runs}
    rode = ridden[1] if ridden and tells(plan, ran[RESULT].result) else None
    if ridden and not rode:
        ran[RESULT] = _run(change, variant.tree, plan.run(RESULT), runner, None)
    results = tuple(r.named(name) for name, r in ran.items())

    def ask(at: str, command: str, beside: Beside) -> Ran:
        files = _files(change, variant.tree, plan.run(at))
        return runner.run(files, command, change.allowed * STAGE_PATIENCE, beside)

    more = further(replace(case, results=results, rider=rode), ask)
    what = watched(case)
    full = _with_all_tests(change, variant.tree, runner, what)
    passed = full.result.having("passed")
    missed = (set(change.owed) | change.kept) - passed
    own = ran.get(RESULT, full)
    base = ran[BASE].result if BASE in ran else None
    spent = {name: r for name, r in ran.items() if not name.endswith(BASE)}
    tests = [r for name, r in spent.items() if not name.startswith("lint")]
    lint = [r for name, r in spent.items() if name.startswith("lint")]
    return Outcome(
        project=change.recipe.name,
        change=change.name,
        kind=variant.kind,
        what=variant.what,
        truth=_truth(variant.kind, missed),
        failing=len(missed),
        alone=own.result.exit_code == 0 and own.result.why == "exit",
        findings=(*more.findings, *_acceptance(change, full.result, what)),
        seconds=_sums(tests, lint, full, lambda r: r.result.seconds) | more.seconds,
        cpu=_sums(tests, lint, full, lambda r: r.cpu) | more.cpu,
        suite=base.seconds if base else 0.0,
        suite_cpu=ran[BASE].cpu if BASE in ran else 0.0,
        broken=tuple(sorted(own.result.failing - (base.failing if base else frozenset()))),
    )


def _sums(tests: list[Ran], lint: list[Ran], full: Ran, of: Any) -> dict[str, float]:
    """The truth's run stands for the one of the acceptance tests: it has them and all others."""
    return {
        "tests": round(sum(map(of, tests)), 3),
        "lint": round(sum(map(of, lint)), 3),
        "acceptance": of(full),
    }


def _with_all_tests(change: Change, tree: Tree, runner: Runner, what: Watched) -> Ran:
    """The run that tells the truth, and what its acceptance tests reach."""
    files, command = change.with_all_tests(tree), change.recipe.command
    told = measuring(command, what, _node_ids(change)) if what else None
    if told is not None:
        ran = runner.run(files, told[0], change.allowed * STAGE_PATIENCE, told[1])
        if ran.result.why == "exit" and ran.result.tests is not None:
            return ran
    return runner.run(files, command, change.allowed)


def _node_ids(change: Change) -> list[str]:
    """The acceptance tests as pytest names them; a report writes modules and classes with dots."""
    found = []
    for test in change.given:
        place, _, name = test.partition("::")
        if path := file_of(test, change.tests):
            module = path.removesuffix(".py").replace("/", ".")
            classes = place.removeprefix(module).strip(".").split(".")
            found.append("::".join([path, *filter(None, classes), name]))
    return found


def _truth(kind: str, missed: set[str]) -> str:
    if missed:
        return WRONG
    return RIGHT if kind == GOOD else UNSHOWN


def _run(
    change: Change, tree: Tree, run: CheckRun, runner: Runner, ridden: tuple[str, Beside] | None
) -> Ran:
    files = _files(change, tree, run)
    if run.kind == "lint":
        files = without(files, change.recipe.tests)
    if ridden and run.name == RESULT:
        return runner.run(files, ridden[0], change.allowed * STAGE_PATIENCE, ridden[1])
    return runner.run(files, run.command, change.allowed)


def _files(change: Change, tree: Tree, run: CheckRun) -> Tree:
    """The files of a planned run: one commit's, or one with tests of the other."""
    whole, other = (change.base, tree) if run.tree == BASE else (tree, change.base)
    if not run.take and not run.drop:
        return whole
    tests = change.recipe.tests
    return {**without(whole, tests), **part(other, tests)}


def _acceptance(change: Change, full: CheckResult, what: Watched) -> tuple[Finding, ...]:
    """What the given half of the change's own tests say, as muster tells of acceptance tests."""
    shown, passed = set(change.shown), full.having("passed")
    failed = [test for test in change.given if test not in passed]
    hidden = len(change.given) - len(shown)
    if not failed:
        evidence: dict[str, Any] = {"tests": len(change.given), "visible": len(shown)}
        evidence["hidden"] = hidden
        if reach := reach_of(what, full.left):
            evidence |= {"covered": reach.covered, "lines": reach.lines, "share": reach.share}
        text = f"{len(change.given)} acceptance tests pass."
        return (Finding("acceptance.passed", Severity.OK, text, evidence),)
    evidence = {
        "tests": len(change.given),
        "failed": [test for test in failed if test in shown],
        "hidden_failed": sum(test not in shown for test in failed),
    }
    text = f"{len(failed)} of {len(change.given)} acceptance tests fail."
    return (Finding("acceptance.failed", Severity.VETO, text, evidence),)
