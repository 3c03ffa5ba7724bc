"""The test runs of one piece of work side by side, and what differs between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from muster.domain.task import TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.checks import CheckPlan
from muster.supervision.evidence import (
    BASE,
    BASE_RESULT_TESTS,
    ERROR,
    FAILED,
    PASSED,
    RESULT,
    RESULT_BASE_TESTS,
    SKIPPED,
    CheckResult,
    Colour,
    colour,
)

MOST_IDS = 200
"""How many test ids a finding carries of each kind."""

_NAMES = (BASE, RESULT, RESULT_BASE_TESTS, BASE_RESULT_TESTS)
Ids = frozenset[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Up to four runs of the same test command, by name."""

    task_type: TaskType
    plan: CheckPlan
    runs: Mapping[str, CheckResult]

    @classmethod
    def of(cls, task_type: TaskType, plan: CheckPlan, results: Iterable[CheckResult]) -> Comparison:
        """Compare those of `results` that are test runs."""
        return cls(task_type, plan, {r.name: r for r in results if r.name in _NAMES})

    @property
    def base(self) -> CheckResult | None:
        """The base as it was."""
        return self.runs.get(BASE)

    @property
    def result(self) -> CheckResult | None:
        """The result as it is."""
        return self.runs.get(RESULT)

    @property
    def kept(self) -> CheckResult | None:
        """The result with the base's tests."""
        return self.runs.get(RESULT_BASE_TESTS)

    @property
    def proof(self) -> CheckResult | None:
        """The base with the result's tests."""
        return self.runs.get(BASE_RESULT_TESTS)

    def planned(self, name: str) -> bool:
        """Whether the plan asked for this run."""
        return self.plan.run(name) is not None

    @property
    def per_test(self) -> bool:
        """Whether base and result can be compared test by test; the result may tell of none."""
        told = self.result is not None and self.result.tests is not None
        return told and bool(self.base and self.base.tests)

    @property
    def newly_failing(self) -> Ids:
        """Fails in the result and did not fail on the base; new tests count too."""
        return failing(self.result) - failing(self.base)

    @property
    def fixed(self) -> Ids:
        """Failed on the base and passes now; a file that could not even be loaded counts as one."""
        if not self.per_test or self.base is None or self.result is None:
            return frozenset()
        now = self.result.having(PASSED)
        gone = self.base.having(ERROR) - frozenset(self.result.tests or ())
        return (failing(self.base) & now) | gone

    @property
    def missing(self) -> Ids:
        """Ran on the base and is not in the result, or not in it with the base's own tests."""
        if not self.per_test or self.base is None or self.result is None:
            return frozenset()
        lost = self.base.having(PASSED, FAILED) - frozenset(self.result.tests or ())
        if self.kept is not None and self.kept.tests is not None:
            lost |= self.base.having(PASSED) - frozenset(self.kept.tests)
        return lost

    @property
    def gone(self) -> Ids:
        """Those of `missing` that are not in the result under another file, class or parameters."""
        if self.base is None or self.result is None:
            return frozenset()
        new = frozenset(self.result.tests or ()) - frozenset(self.base.tests or ())
        moved = Counter(map(_name, new))
        left: set[str] = set()
        for test in sorted(self.missing):
            name = _name(test)
            in_result = test in (self.result.tests or ())  # missing with the base's own tests
            if in_result or not moved[name]:
                left.add(test)
            else:
                moved[name] -= 1
        return frozenset(left)

    @property
    def newly_skipped(self) -> Ids:
        """Ran on the base and is skipped now."""
        if not self.per_test or self.base is None:
            return frozenset()
        ran = self.base.having(PASSED, FAILED, ERROR)
        skipped = having(self.result, SKIPPED) | having(self.kept, SKIPPED)
        return ran & skipped

    @property
    def fixed_by_code(self) -> bool:
        """Red on the base, green in the result, and not only through changed tests."""
        if self.per_test:
            fixed = self.fixed
            return bool(fixed if self.kept is None else fixed - failing(self.kept))
        return (
            colour(self.base) is Colour.RED
            and colour(self.result) is Colour.GREEN
            and (self.kept is None or colour(self.kept) is Colour.GREEN)
        )

    def finding(
        self, code: str, severity: Severity, text: str, about: str = RESULT, **more: Any
    ) -> Finding:
        """A finding with all runs as evidence; `about` names the run whose output explains it."""
        evidence = {
            "command": self.plan.test_command,
            "runs": [self.runs[name].as_json() for name in _NAMES if name in self.runs],
            "about": about,
            "failing": ids(failing(self.runs.get(about))),
            "broken": ids(self.newly_failing) if self.per_test else [],
            "fixed": ids(self.fixed),
            "missing": ids(self.missing),
        }
        return Finding(code, severity, text, evidence | more)


def _name(test: str) -> str:
    """A test's own name, without where it is and what it is given."""
    return test.rpartition("::")[2].partition("[")[0]


def failing(run: CheckResult | None) -> Ids:
    """The failing tests of a run that may be absent."""
    return run.failing if run else frozenset()


def having(run: CheckResult | None, *statuses: str) -> Ids:
    """The tests with one of the statuses, of a run that may be absent."""
    return run.having(*statuses) if run else frozenset()


def ids(tests: Iterable[str]) -> list[str]:
    """The first ids in order, for evidence."""
    return sorted(tests)[:MOST_IDS]


def name_some(tests: Iterable[str], most: int = 3) -> str:
    """A few of the tests for a sentence."""
    known = sorted(tests)
    more = len(known) - most
    return ", ".join(known[:most]) + (f" and {more} more" if more > 0 else "")


def count(number: int, one: str) -> str:
    """`1 test`, `2 tests`."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"
