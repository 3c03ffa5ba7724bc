"""Which runs a piece of work owes, planned from what it changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from muster.domain.globs import matches
from muster.domain.plain import few, plain_line
from muster.domain.project import ProjectSettings
from muster.domain.task import OWES_PROOF, TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.evidence import (
    BASE,
    BASE_RESULT_TESTS,
    RESULT,
    RESULT_BASE_TESTS,
    Changes,
)
from muster.supervision.runner import Runner
from muster.supervision.runner_config import Contents, changed_configs, really_changed
from muster.supervision.weakened import judge_weakened, newly_skipped, read_both

__all__ = ["CheckPlan", "CheckRun", "matches", "plan_checks"]


@dataclass(frozen=True, slots=True)
class CheckRun:
    """One command to run in a clean workspace.

    The tree is the commit `tree` (`base` or `result`); then the paths in `drop` are removed, and
    those in `take` are put there as they are in the other commit. `kind` is test, lint or type.
    """

    name: str
    kind: str
    command: str
    tree: str
    take: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """The runs that are needed, in the order in which they tell most, and why.

    `test_files` are the changed paths that count as tests, `deleted_tests` those that are gone,
    `skipped_tests` the tests that are marked as not run now, with their files.
    `runner` is what the test command starts, if that is known; with `report_expected` it tells of
    single tests unless it was cut short. `findings` follow from the plan alone.
    """

    test_command: str | None
    runs: tuple[CheckRun, ...] = ()
    test_files: tuple[str, ...] = ()
    deleted_tests: tuple[str, ...] = ()
    skipped_tests: tuple[str, ...] = ()
    report_expected: bool = False
    findings: tuple[Finding, ...] = ()
    runner: Runner | None = None

    @property
    def failed(self) -> int:
        """The exit status that says that tests failed, and nothing worse."""
        return self.runner.failed if self.runner is not None else 1

    def run(self, name: str) -> CheckRun | None:
        """The planned run of that name."""
        return next((run for run in self.runs if run.name == name), None)


def plan_checks(
    task_type: TaskType,
    settings: ProjectSettings,
    changed: Changes,
    *,
    base_files: Iterable[str] | None = None,
    configs: Contents | None = None,
    tests: Contents | None = None,
    runner: Runner | None = None,
) -> CheckPlan:
    """Say which runs are needed to judge `changed`.

    `base_files` are all paths of the base: when no test is among them, there is nothing to run
    there. `configs` are the contents of the files that `runner_config.changed_configs` names; with
    them, only a change to their part about tests is a finding. `tests` are those of test files that
    were changed: what they assert less is one, too. `runner` is what the test command starts.
    """
    if not changed:
        return CheckPlan(settings.test_command or None)
    touched = _TestChanges.of(changed, settings.test_paths)
    read = read_both(tests or {}) if settings.test_command else ()
    command = (settings.test_command or "").strip()
    base_has_tests = base_files is None or any(
        matches(settings.test_paths, path) for path in base_files
    )
    runs = [
        *(_test_runs(command, task_type, touched, base_has_tests) if command else ()),
        *_both("lint", settings.lint_command),
        *_both("type", settings.type_command),
    ]
    return CheckPlan(
        test_command=command or None,
        runs=tuple(runs),
        test_files=touched.touched,
        deleted_tests=touched.deleted,
        skipped_tests=newly_skipped(read),
        report_expected=runner is not None and runner.telling(command) is not None,
        findings=(
            *_config_findings(command, settings, changed, configs or {}, runner),
            *judge_weakened(task_type, read),
        ),
        runner=runner,
    )


@dataclass(frozen=True, slots=True)
class _TestChanges:
    """The changed test files: those there are now, those there were, those that are gone."""

    now: tuple[str, ...]
    before: tuple[str, ...]

    @classmethod
    def of(cls, changed: Changes, patterns: tuple[str, ...]) -> _TestChanges:
        now = {c.path for c in changed if c.status != "deleted"}
        before = {c.path for c in changed if c.status in {"modified", "deleted"}}
        before |= {c.old_path for c in changed if c.status == "renamed" and c.old_path}
        return cls(
            tuple(sorted(p for p in now if matches(patterns, p))),
            tuple(sorted(p for p in before if matches(patterns, p))),
        )

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(sorted({*self.now, *self.before}))

    @property
    def deleted(self) -> tuple[str, ...]:
        return tuple(sorted({*self.before} - {*self.now}))

    @property
    def added(self) -> tuple[str, ...]:
        return tuple(sorted({*self.now} - {*self.before}))


def _test_runs(
    command: str, task_type: TaskType, tests: _TestChanges, base_has_tests: bool
) -> Iterable[CheckRun]:
    yield CheckRun(RESULT, "test", command, RESULT)
    if base_has_tests:
        yield CheckRun(BASE, "test", command, BASE)
    if base_has_tests and tests.touched:
        yield CheckRun(
            RESULT_BASE_TESTS, "test", command, RESULT, take=tests.before, drop=tests.added
        )
    if tests.now and task_type in OWES_PROOF:
        yield CheckRun(BASE_RESULT_TESTS, "test", command, BASE, take=tests.now, drop=tests.deleted)


def _both(kind: str, command: str | None) -> Iterable[CheckRun]:
    if command and command.strip():
        for tree in (RESULT, BASE):
            yield CheckRun(f"{kind} {tree}", kind, command, tree)


def _config_findings(
    command: str,
    settings: ProjectSettings,
    changed: Changes,
    configs: Contents,
    runner: Runner | None,
) -> tuple[Finding, ...]:
    more = runner.configs if runner is not None else ()
    touched = changed_configs(command, changed, settings.test_paths, more) if command else ()
    paths = really_changed(touched, configs)
    if not paths:
        return ()
    return (
        Finding(
            "tests.config_changed",
            Severity.ASK,
            f"The change touches what decides which tests run: {few(paths, 5)}.",
            {"command": command, "paths": [plain_line(path) for path in paths]},
        ),
    )
