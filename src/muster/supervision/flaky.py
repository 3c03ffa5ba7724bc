"""Is it the change, or a test that fails now and then? Told by running single tests again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from muster.domain.verdict import Finding, Severity
from muster.supervision.comparison import Comparison, Ids, count, failing, ids, name_some
from muster.supervision.evidence import (
    BASE,
    ERROR,
    FAILED,
    PASSED,
    RESULT,
    RESULT_BASE_TESTS,
    TAIL,
    CheckResult,
)
from muster.supervision.stage import Beside, Case, Run, Steps, Told

MOST_TESTS = 10
"""With more tests that fail, it is the change."""
RERUNS = 3
"""How often a failing test is run again in the result."""
BASE_RERUNS = 5
"""And on the base: whether it fails there too, now and then, is what can excuse it."""


@dataclass(slots=True)
class _Tally:
    """How often each test failed and passed when it was run again, alone."""

    failed: dict[str, int] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)

    def count(self, run: CheckResult, tests: Ids) -> None:
        for test in tests:
            status = (run.tests or {}).get(test)
            if status in {FAILED, ERROR}:
                self.failed[test] = self.failed.get(test, 0) + 1
            elif status == PASSED:
                self.passed[test] = self.passed.get(test, 0) + 1


class Flaky:
    """Runs again what fails in the result and did not fail on the base.

    A test that then fails on the base too was flaky before: it is excused. One that passes at
    times in the result and never fails on the base may have been made flaky by the change: a
    person is asked. A test that is new, or never passes, counts as before: what fails on both sides
    each time may only need others before it.
    """

    settles = True

    def steps(self, case: Case) -> Steps:
        """Single tests, at result and base side by side, until it is clear or enough."""
        found: list[Finding] = []
        settled: dict[str, CheckResult] = {}
        for name in (RESULT, RESULT_BASE_TESTS):
            now = replace(case, results=_with(case.results, settled))
            suspects = _suspects(now, name)
            if not suspects or _only(case, suspects) is None:
                continue
            here, there = _Tally(), _Tally()
            for again in range(1, BASE_RERUNS + 1):
                open_ = suspects - _flaky_before(here, there)
                if again > RERUNS and not open_ & {*here.passed, *there.failed}:
                    break
                runs = [_run(case, BASE, name, again, suspects)] if open_ else []
                runs += [_run(case, name, name, again, suspects)] if again <= RERUNS else []
                for run, result in zip(runs, (yield runs), strict=True):
                    (there if run.at == BASE else here).count(result, suspects)
            told, counts = _judged(now, name, here, there)
            found += told
            if counts is not None:
                settled[name] = counts
        return Told(tuple(found), tuple(settled.values()))


def _flaky_before(here: _Tally, there: _Tally) -> Ids:
    """What fails on the base now and then, and not for being run alone: then it never passes."""
    return frozenset(there.failed) & {*here.passed, *there.passed}


def _with(
    results: tuple[CheckResult, ...], settled: Mapping[str, CheckResult]
) -> tuple[CheckResult, ...]:
    return tuple(settled.get(result.name, result) for result in results)


def _only(case: Case, tests: Ids) -> tuple[str, Beside] | None:
    """What runs these tests, where the runner knows how."""
    command, runner = case.plan.test_command, case.plan.runner
    return runner.only(command, tests) if command and runner is not None else None


def _suspects(case: Case, name: str) -> Ids:
    """What fails in a run and did not on the base, when it is little and was there before."""
    both = Comparison.of(case.task_type, case.plan, case.results)
    run = case.run(name)
    if not both.per_test or run is None or run.exit_code != case.plan.failed:
        return frozenset()
    found = failing(run) - failing(both.base)
    if name == RESULT_BASE_TESTS:
        found -= failing(both.result)
    known = frozenset(both.base.tests or ()) if both.base else frozenset()
    return found if 0 < len(found) <= MOST_TESTS and found <= known else frozenset()


def _run(case: Case, at: str, about: str, again: int, tests: Ids) -> Run:
    """One more run of the tests, given what the result's own run was given besides."""
    command, beside = _only(case, tests) or (case.plan.test_command or "", Beside())
    if case.rider is not None:
        beside = replace(case.rider, report="").also(beside)
    return Run(f"{about}: again {again} at {at}", command, at, beside, anew=True)


def _judged(
    case: Case, name: str, here: _Tally, there: _Tally
) -> tuple[list[Finding], CheckResult | None]:
    """The findings, and the run with those tests as passed that do not speak against the work."""
    before = _flaky_before(here, there)
    unsteady = frozenset(here.passed) - before
    found = []
    if before:
        are = "fails" if len(before) == 1 else "fail"
        text = (
            f"{count(len(before), 'test')} that {are} with the change {are} at times on the base"
            f" as well: {name_some(before)}."
        )
        found.append(_finding("tests.flaky", Severity.NOTE, text, before, here, there, name))
    if unsteady:
        what = "fails at times" if len(unsteady) == 1 else "fail at times"
        text = (
            f"{count(len(unsteady), 'test')} {what} with the change and never on the base"
            f" (run {BASE_RERUNS} more times there): {name_some(unsteady)}."
        )
        found.append(_finding("tests.unsteady", Severity.ASK, text, unsteady, here, there, name))
    run = case.run(name)
    return found, _settled(run, before | unsteady) if run and (before | unsteady) else None


def _settled(run: CheckResult, tests: Ids) -> CheckResult:
    """The run as it counts now, and how it comes to that in its output."""
    known = {**(run.tests or {}), **dict.fromkeys(tests, PASSED)}
    left = any(status in {FAILED, ERROR} for status in known.values())
    why = f"ended with {run.exit_code}; run again alone, these do not count"
    said = f"\nmuster: {why}: {name_some(tests, 10)}\n"
    code = run.exit_code if left else 0
    return replace(run, tests=known, exit_code=code, tail=(run.tail + said)[-TAIL:])


def _finding(
    code: str,
    severity: Severity,
    text: str,
    tests: Ids,
    here: _Tally,
    there: _Tally,
    about: str,
) -> Finding:
    counts = {
        test: {
            "result": {"failed": here.failed.get(test, 0), "passed": here.passed.get(test, 0)},
            "base": {"failed": there.failed.get(test, 0), "passed": there.passed.get(test, 0)},
        }
        for test in ids(tests)
    }
    reruns = sum(sum(side.values()) for both in counts.values() for side in both.values())
    evidence = {"tests": ids(tests), "reruns": reruns, "counts": counts, "about": about}
    return Finding(code, severity, text, evidence)
