"""Do the new tests prove the change: do they fail without it?"""

from __future__ import annotations

from muster.domain.task import OWES_PROOF, TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.comparison import Comparison, count, failing, having, ids, name_some
from muster.supervision.evidence import BASE_RESULT_TESTS, PASSED, Colour, colour


def judge_proof(case: Comparison) -> list[Finding]:
    """What the tests prove of a feature or a bug fix; other types owe no proof."""
    if case.task_type not in OWES_PROOF:
        return []
    if case.planned(BASE_RESULT_TESTS):
        return [_with_new_tests(case)]
    return [_without_new_tests(case)]


def _with_new_tests(case: Comparison) -> Finding:
    if colour(case.proof) is Colour.UNKNOWN:
        return case.finding(
            "tests.unknown",
            Severity.ABSTAIN,
            f"The test run '{BASE_RESULT_TESTS}' gave no answer, so nothing is proven.",
            about=BASE_RESULT_TESTS,
        )
    proving = _proving(case)
    if proving:
        text = (
            f"{count(len(proving), 'test')} {'fails' if len(proving) == 1 else 'fail'} without"
            f" the change and {'passes' if len(proving) == 1 else 'pass'} with it:"
            f" {name_some(proving)}."
        )
        return case.finding("tests.proven", Severity.OK, text, proving=ids(proving))
    if _red_as_a_whole(case):
        text = "The new tests fail without the change and pass with it."
        return case.finding("tests.proven", Severity.OK, text)
    if case.fixed_by_code:
        text = (
            "The change mends tests that failed on the base, but the changed tests"
            " also pass without it."
        )
        return case.finding("tests.prove_nothing", Severity.ASK, text, about=BASE_RESULT_TESTS)
    text = "The new or changed tests pass without the change as well, so they prove nothing."
    return case.finding("tests.prove_nothing", Severity.VETO, text, about=BASE_RESULT_TESTS)


def _proving(case: Comparison) -> frozenset[str]:
    """Tests that fail on the base with the result's tests and do not fail in the result.

    A file that cannot be loaded without the change shows as one failing test of another name.
    """
    if case.proof is None or case.result is None or case.result.tests is None:
        return frozenset()
    red = failing(case.proof)
    return (red & having(case.result, PASSED)) | (red - frozenset(case.result.tests))


def _red_as_a_whole(case: Comparison) -> bool:
    """Red without single tests to name: by exit status, or because the runner broke off."""
    if colour(case.proof) is not Colour.RED or colour(case.result) is not Colour.GREEN:
        return False
    if not failing(case.proof):
        return True
    return case.result is not None and case.result.tests is None


def _without_new_tests(case: Comparison) -> Finding:
    if case.fixed_by_code:
        fixed = case.fixed
        which = f": {name_some(fixed)}" if fixed else ""
        text = f"Tests that failed on the base pass now{which}."
        return case.finding("tests.fixed", Severity.OK, text)
    if case.task_type is TaskType.BUG and failing(case.result):
        text = "Some tests failed on the base, and the change mends none of them."
        return case.finding("tests.nothing_fixed", Severity.ASK, text)
    text = f"The {case.task_type} comes without new tests; only the existing ones vouch for it."
    return case.finding("tests.no_new", Severity.NOTE, text)
