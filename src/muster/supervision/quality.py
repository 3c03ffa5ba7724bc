"""Is it right? The rules by which test, lint and type runs become findings."""

from __future__ import annotations

from collections.abc import Iterable

from muster.domain.plain import plain_line
from muster.domain.task import OWES_PROOF, TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.checks import CheckPlan
from muster.supervision.comparison import Comparison, count, failing, ids, name_some
from muster.supervision.counted import counted
from muster.supervision.evidence import (
    BASE,
    BASE_RESULT_TESTS,
    RESULT,
    RESULT_BASE_TESTS,
    Changes,
    CheckResult,
    Colour,
    colour,
)
from muster.supervision.lint import judge_lint
from muster.supervision.proof import judge_proof
from muster.supervision.severity import strongest_first

_CANNOT_START = frozenset({126, 127})
_PYTEST_BROKE_OFF = frozenset({2, 3, 4})
_WHY = {
    "lost": "was lost while it ran",
    "stopped": "was stopped before it ended",
    "killed": "was killed before it ended",
    "exec": "could not be started",
    "setup": "was not run because the setup command failed",
    "exit": "ended in a way nobody saw",
}


def judge(
    task_type: TaskType, plan: CheckPlan, results: Iterable[CheckResult], changed: Changes
) -> tuple[Finding, ...]:
    """The findings about a finished piece of work, strongest first.

    `results` are the ends of the runs that `plan` asked for; a run that is needed and missing
    leaves the verdict open. `changed` is what the work changed.
    """
    results = tuple(results)
    found = [*plan.findings, *judge_lint("lint", results), *judge_lint("type", results)]
    if plan.test_command is None:
        found.append(_no_command(changed))
    else:
        found += _judge_tests(Comparison.of(task_type, plan, results))
    return strongest_first(found)


def _no_command(changed: Changes) -> Finding:
    return Finding(
        "tests.none",
        Severity.ABSTAIN,
        "The project has no test_command, so nothing shows whether this work is right"
        f" ({count(len(changed), 'file')} changed).",
        {"hint": "muster project set test_command 'COMMAND'"},
    )


def _judge_tests(case: Comparison) -> list[Finding]:
    if stop := _unusable(case):
        return [stop]
    red = _red(case) if colour(case.result) in {Colour.RED, Colour.EMPTY} else None
    if red and red.severity in {Severity.VETO, Severity.ABSTAIN}:
        return [red]
    found = [red] if red else []
    found += _reports(case) or _told(case)
    found += _only_by_changed_tests(case)
    found += _weakened(case)
    found += judge_proof(case)
    if not red and not any(f.severity in {Severity.VETO, Severity.ABSTAIN} for f in found):
        found.append(_green(case))
    return found


# --- runs that say nothing ------------------------------------------------------------------------


def _unusable(case: Comparison) -> Finding | None:
    """Why the runs at base and result allow no judgement at all, if they do not."""
    if colour(case.result) is Colour.UNKNOWN:
        return _unknown(case, RESULT)
    if colour(case.result) is Colour.RED and case.result and case.result.why == "timeout":
        return _timed_out(case)
    if _cannot_start(case.result) and (case.base is None or _cannot_start(case.base)):
        return case.finding(
            "tests.not_run",
            Severity.ABSTAIN,
            f"The test command cannot be started: {case.plan.test_command}.",
        )
    base_unknown = case.planned(BASE) and colour(case.base) is Colour.UNKNOWN
    if base_unknown and colour(case.result) is Colour.GREEN:
        return _unknown(case, BASE)
    return None


def _cannot_start(run: CheckResult | None) -> bool:
    return run is not None and run.why == "exit" and run.exit_code in _CANNOT_START


def _unknown(case: Comparison, name: str) -> Finding:
    run = case.runs.get(name)
    why = _WHY.get(run.why, f"ended with '{run.why}'") if run else "was not run"
    return case.finding(
        "tests.unknown", Severity.ABSTAIN, f"The test run '{name}' {why}.", about=name
    )


def _timed_out(case: Comparison) -> Finding:
    took = f"{case.result.seconds:.0f} s" if case.result else "its time"
    if case.base is not None and case.base.why == "timeout":
        text = f"The tests do not end: stopped after {took}, on the base as well."
        return case.finding("tests.timeout", Severity.ABSTAIN, text)
    ended = (
        f"; on the base they end after {case.base.seconds:.0f} s"
        if case.base is not None and case.base.why == "exit"
        else ""
    )
    text = f"The tests do not end any more: stopped after {took}{ended}."
    return case.finding("tests.timeout", Severity.VETO, text)


# --- a result that is not green -------------------------------------------------------------------


def _red(case: Comparison) -> Finding:
    """A red result: a veto, unless test by test nothing is worse than on the base."""
    if colour(case.result) is Colour.EMPTY:
        return _empty(case)
    if not case.per_test:
        return _red_by_status(case)
    new = case.newly_failing
    if new:
        return _broken(case)
    if failing(case.result) and not _broke_off(case):
        old = failing(case.result)
        return case.finding(
            "tests.red_before",
            Severity.NOTE,
            f"{count(len(old), 'test')} failed on the base and still {_do(old, 'fail')}:"
            f" {name_some(old)}.",
        )
    return _red_by_status(case)


def _do(tests: Iterable[str], verb: str) -> str:
    return verb + "s" if len(list(tests)) == 1 else verb


def _empty(case: Comparison) -> Finding:
    if colour(case.base) in {Colour.GREEN, Colour.RED}:
        text = "The test command finds no tests any more."
        return case.finding("tests.broken", Severity.VETO, text)
    text = "The test command finds no tests, so nothing shows whether this work is right."
    return case.finding("tests.empty", Severity.ABSTAIN, text)


def _broken(case: Comparison) -> Finding:
    known = frozenset(case.base.tests or ()) if case.base else frozenset()
    worse = case.newly_failing
    if worse & known or case.missing:
        text = f"The change breaks {count(len(worse), 'test')}: {name_some(worse)}."
        return case.finding("tests.broken", Severity.VETO, text)
    text = f"{count(len(worse), 'new test')} {_do(worse, 'fail')}: {name_some(worse)}."
    return case.finding("tests.red", Severity.VETO, text)


def _broke_off(case: Comparison) -> bool:
    """Whether the result's run ended early, so that its report cannot be the whole story."""
    if case.result is None or case.base is None or case.result.why != "exit":
        return True
    code = case.result.exit_code or 0
    if code == case.base.exit_code:
        return False
    return code < 0 or code >= 128 or (case.plan.report_expected and code in _PYTEST_BROKE_OFF)


def _red_by_status(case: Comparison) -> Finding:
    said = _how(case.result)
    base = colour(case.base)
    if base is Colour.GREEN:
        text = f"The tests pass on the base and fail now ({said})."
        return case.finding("tests.broken", Severity.VETO, text)
    if base is not Colour.RED:
        return case.finding("tests.red", Severity.VETO, f"The tests fail ({said}).")
    if case.task_type in {TaskType.BUG, TaskType.FEATURE}:
        text = f"The tests failed on the base and still fail ({said})."
        return case.finding("tests.red", Severity.VETO, text)
    text = (
        f"The tests failed on the base and still fail ({said});"
        " without a report per test nothing tells whether the change breaks more."
    )
    return case.finding("tests.red_before", Severity.ABSTAIN, text)


def _how(run: CheckResult | None) -> str:
    if run is None:
        return "not run"
    if run.why in {"memory", "disk"}:
        return f"out of {run.why}"
    if failing(run):
        return f"{count(len(failing(run)), 'failure')}, exit status {run.exit_code}"
    return f"exit status {run.exit_code}"


# --- a result that looks fine ---------------------------------------------------------------------


def _reports(case: Comparison) -> list[Finding]:
    """A runner that says 0 and leaves no report did not come to its own end."""
    if not case.plan.report_expected:
        return []
    silent = [
        name
        for name in (RESULT, RESULT_BASE_TESTS)
        if (run := case.runs.get(name)) and run.exit_code == 0 and run.tests is None
    ]
    if not silent:
        return []
    text = (
        f"The test run '{silent[0]}' says success, but its report was never written:"
        " something ended it early."
    )
    if any(run.tests is not None for run in case.runs.values()):
        return [case.finding("tests.no_report", Severity.VETO, text, about=silent[0])]
    if colour(case.base) is Colour.GREEN or any(map(_ended_as_usual, case.runs.values())):
        return []  # no report reaches us from anywhere: by exit status, then
    return [case.finding("tests.no_report", Severity.ABSTAIN, text, about=silent[0])]


def _told(case: Comparison) -> list[Finding]:
    """Without reports: a runner that told of its tests on the base tells of them on the result."""
    before = _counted(case.base)
    if before is None or case.per_test:
        return []
    for name in (RESULT, RESULT_BASE_TESTS):
        run = case.runs.get(name)
        if run is None or run.exit_code != 0:
            continue
        now = _counted(run)
        if now is None:
            text = (
                f"The test run '{name}' says success but nothing of its tests; on the base it told"
                f" of {before}: something ended it early."
            )
            return [case.finding("tests.silent", Severity.VETO, text, about=name)]
        if now < before:
            text = f"The test run '{name}' told of {count(now, 'test')}, on the base of {before}."
            return [case.finding("tests.fewer", Severity.ASK, text, about=name)]
    return []


def _counted(run: CheckResult | None) -> int | None:
    return counted(run.output or run.tail) if run is not None else None


def _ended_as_usual(run: CheckResult) -> bool:
    """Red or empty in a way in which pytest always writes its report."""
    return run.why == "exit" and run.exit_code in {1, 2, 5}


def _only_by_changed_tests(case: Comparison) -> list[Finding]:
    if not case.planned(RESULT_BASE_TESTS):
        return []
    kept = colour(case.kept)
    if kept is Colour.UNKNOWN:
        return [_unknown(case, RESULT_BASE_TESTS)]
    blamed = failing(case.kept) - failing(case.result)
    if not blamed and not _red_as_a_whole(case):
        return []
    which = f": {name_some(blamed)}" if blamed else f" ({_how(case.kept)})"
    text = f"The tests pass only because tests were changed; as they were, they fail{which}."
    return [
        case.finding(
            "tests.only_by_changed_tests",
            _severity_of_changed_tests(case, frozenset(blamed)),
            text,
            about=RESULT_BASE_TESTS,
            failing=ids(blamed),
        )
    ]


def _red_as_a_whole(case: Comparison) -> bool:
    """Red with the base's tests beyond what single tests explain."""
    kept = colour(case.kept)
    if kept is Colour.EMPTY:
        return colour(case.base) is not Colour.EMPTY
    return kept is Colour.RED and not (failing(case.kept) and colour(case.result) is Colour.RED)


def _severity_of_changed_tests(case: Comparison, blamed: frozenset[str]) -> Severity:
    """A task about tests may mend tests that were red before; a person looks at it."""
    if case.task_type is not TaskType.TEST or colour(case.base) is not Colour.RED:
        return Severity.VETO
    known = case.base is not None and case.base.tests is not None
    return Severity.VETO if known and blamed - failing(case.base) else Severity.ASK


def _weakened(case: Comparison) -> list[Finding]:
    """Tests that do not run any more: a veto where the task gives no reason for it.

    Tests that went elsewhere are not gone. Without a report per test only files are known.
    """
    found: list[Finding] = []
    gone, deleted = case.gone, case.plan.deleted_tests
    # Without a report per test their text is all that tells.
    skipped = case.newly_skipped if case.per_test else case.plan.skipped_tests
    severity = Severity.VETO if case.task_type in OWES_PROOF else Severity.ASK
    if gone or (deleted and not case.missing):
        named = [plain_line(path, 120) for path in deleted] if deleted else sorted(gone)
        what = "test file" if deleted else "test"
        text = f"{count(len(named), what)} of the base {_is(named)} gone: {name_some(named)}."
        found.append(
            case.finding(
                "tests.missing",
                severity if gone else Severity.ASK,
                text,
                missing=ids(gone),
                deleted_files=[plain_line(path) for path in deleted],
            )
        )
    if skipped:
        text = f"{count(len(skipped), 'test')} that ran before {_is(skipped)} skipped now:"
        text = f"{text} {name_some(skipped)}."
        found.append(case.finding("tests.skipped", severity, text, skipped=ids(skipped)))
    return found


def _is(things: Iterable[str]) -> str:
    return "is" if len(list(things)) == 1 else "are"


def _green(case: Comparison) -> Finding:
    passed = len(case.result.having("passed")) if case.result and case.result.tests else 0
    how = f"{count(passed, 'test')} {'passes' if passed == 1 else 'pass'}" if passed else ""
    text = f"The tests pass in a clean workspace ({how or _how(case.result)})."
    also = [name for name in (RESULT_BASE_TESTS, BASE_RESULT_TESTS) if name in case.runs]
    if RESULT_BASE_TESTS in also:
        text = f"{text[:-1]}, also with the tests as they were on the base."
    return case.finding("tests.green", Severity.OK, text)
