"""The result's own test run, when a stage learns from it: does it count like a plain one?"""

from __future__ import annotations

from muster.domain.verdict import Finding, Severity
from muster.supervision.checks import CheckPlan
from muster.supervision.evidence import CheckResult, Colour, colour


def tells(plan: CheckPlan, result: CheckResult) -> bool:
    """Whether such a run counts: it is green, or names the tests that fail.

    Of any other it cannot be told whether it is red because of what the stage did.
    """
    if result.why != "exit" or (plan.report_expected and result.tests is None):
        return False
    return result.exit_code == 0 or (result.exit_code == plan.failed and bool(result.failing))


def flips(plan: CheckPlan, ridden: CheckResult, plain: CheckResult) -> bool:
    """Whether the tests failed in the first run, and did not when they were run again."""
    failed = ridden.why == "exit" and ridden.exit_code == plan.failed
    return failed and colour(plain) is Colour.GREEN


def unsteady(ridden: CheckResult) -> Finding:
    """That they did; it may be the change that makes them fail at times."""
    return Finding(
        "tests.unsteady",
        Severity.ASK,
        "The tests failed while a stage of evidence measured them, and passed without that.",
        {"tests": [], "reruns": 1, "tail": ridden.tail, "hint": "leave that stage out: evidence"},
    )
