"""Which acceptance tests are fit to judge by, and when work has passed them."""

from __future__ import annotations

from typing import Any

import pytest

from muster.domain.acceptance import Written, file_of, written_of
from muster.domain.agent import Outcome
from muster.domain.task import Autonomy
from muster.domain.verdict import Decision, Finding, Severity, Step
from muster.supervision.acceptance import (
    in_two,
    judge_acceptance,
    judge_written,
    makes_tests,
    needs_visible_run,
    nobody_looks,
    only_tests,
)
from muster.supervision.case import About, Case, Policy
from muster.supervision.decision import decide
from muster.supervision.evidence import Changed, CheckResult
from muster.supervision.seen import Share

TESTS = ("tests/",)
OLD = {"tests.test_old::test_kept": "passed"}
FILES = ("tests/test_a.py", "tests/test_b.py", "tests/shared.py")


def run(tests: dict[str, str] | None, **more: Any) -> CheckResult:
    failed = bool(tests and {"failed", "error"} & set(tests.values()))
    said = {"exit_code": int(failed), "why": "exit", "tail": "", **more}
    return CheckResult("run", "pytest", seconds=1.0, run_id="r", tests=tests, **said)


def judged(after: CheckResult, before: CheckResult | None = None, files=FILES, wish="") -> Finding:
    (finding,) = judge_written(
        before or run(OLD), after, files,
        commits=("b" * 40, "c" * 40), task_id="tsk_1", known_names={"basket", "tests"}, wish=wish,
    )  # fmt: skip
    return finding


def written(**more: Any) -> Written:
    said = {
        "base": "b", "commit": "c", "dropped": (), "shared": (),
        "tests": ("tests.test_a::one", "::tests.test_b"),
        "visible": ("tests/test_a.py",), "hidden": ("tests/test_b.py",), **more,
    }  # fmt: skip
    return Written(**said)


@pytest.mark.parametrize(
    ("test", "path"),
    [
        ("tests.test_a::test_x", "tests/test_a.py"),
        ("tests.test_a.TestCase::test_x", "tests/test_a.py"),
        ("::tests.test_a", "tests/test_a.py"),
        ("unittest.loader._FailedTest::test_a", "tests/test_a.py"),
        ("src/tests/test_a.py::x", "tests/test_a.py"),
        ("deep.tests.test_a::x", "deep/tests/test_a.py"),
        ("tests.test_ab::test_x", None),
        ("a basket::is empty at first", None),
    ],
)
def test_a_tests_id_names_its_file(test, path):
    assert file_of(test, ("tests/test_a.py", "deep/tests/test_a.py", "tests/shared.py")) == path


def test_a_files_name_says_whether_tests_are_in_it():
    named = ("test_a.py", "a_test.go", "a.test.ts", "a.spec.js", "BasketTest.java", "tests.rs")
    assert all(map(makes_tests, named))
    assert not any(map(makes_tests, ("conftest.py", "__init__.py", "latest.py", "contest.py")))


def test_the_lot_is_the_same_each_time_and_another_for_another_task():
    files = [f"tests/test_{n}.py" for n in range(9)]
    shown, hidden = in_two(files, "tsk_1")
    assert (len(shown), len(hidden)) == (4, 5)
    assert (shown, hidden) == in_two(reversed(files), "tsk_1")
    assert {*shown, *hidden} == {*files}
    assert len({in_two(files, f"tsk_{n}")[0] for n in range(20)}) > 10
    assert in_two(["tests/test_lone.py"], "tsk_1") == ((), ("tests/test_lone.py",))


def test_only_added_tests_are_let_through():
    fine = Changed("tests/test_a.py", "added")
    assert only_tests((fine,), TESTS) == ()
    for path, status in (("tests/test_old.py", "modified"), ("src/a.py", "added"),
                         ("tests/test_old.py", "deleted"), ("tests/b.py", "renamed")):  # fmt: skip
        (found,) = only_tests((fine, Changed(path, status)), TESTS)
        assert (found.code, found.severity) == ("acceptance.unfit", Severity.VETO)
        assert path in found.text


def test_fit_ones_fail_on_the_base_and_what_passes_there_is_left_out():
    new = {"tests.test_a::one": "failed", "tests.test_a::idle": "passed", "::tests.test_b": "error"}
    found = judged(run({**OLD, **new}))
    assert found.severity is Severity.OK
    kept = written_of([found])
    assert kept is not None
    assert kept.tests == ("::tests.test_b", "tests.test_a::one")
    assert kept.dropped == ("tests.test_a::idle",)
    assert {*kept.visible, *kept.hidden} == {"tests/test_a.py", "tests/test_b.py"}
    assert len(kept.visible) == 1
    assert kept.shared == ("tests/shared.py",)
    assert written_of([Finding(found.code, found.severity, "", kept.as_json())]) == kept


def test_files_whose_tests_all_pass_already_are_neither_shown_nor_counted():
    new = {"tests.test_a::one": "failed", "tests.test_b::idle": "passed"}
    kept = written_of([judged(run({**OLD, **new}))])
    assert kept is not None
    assert (kept.visible, kept.hidden, kept.shared) == (
        (), ("tests/test_a.py",), ("tests/shared.py",),
    )  # fmt: skip


def test_what_names_no_file_is_hidden_with_all_that_look_like_tests():
    kept = written_of([judged(run({**OLD, "a basket::is empty": "failed"}))])
    assert kept is not None
    assert (kept.visible, kept.hidden) == ((), ("tests/test_a.py", "tests/test_b.py"))
    assert not kept.is_visible("a basket::is empty")


SYNTAX = """
E     File "/somewhere/tests/test_a.py", line 1
E       def broken(:
E                  ^
E   SyntaxError: invalid syntax
"""


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (run(None), "with them the test command does not come to its report any more"),
        (run(OLD), "no test of theirs ran"),
        (run({**OLD, "tests.test_a::one": "passed"}), "all 1 pass without the change"),
        (run({"tests.test_old::test_kept": "failed", "tests.test_a::one": "failed"}),
         "1 test of the base fail beside them"),
        (run({"::tests.test_a": "error"}, output=SYNTAX), "test_a.py cannot be read (SyntaxError)"),
        (run({"::tests.test_a": "error"}, output="E   ModuleNotFoundError: No module named 'pear'"),
         "they need a package 'pear'"),
        (run(None, why="lost", exit_code=None), "their run was lost"),
        (run(None, why="timeout", exit_code=None), "does not end by itself (timeout)"),
        (run(None, why="setup", exit_code=1), "the setup command failed"),
    ],
)  # fmt: skip
def test_unfit_ones_are_refused_and_told_why(after, said):
    found = judged(after)
    assert (found.code, found.severity) == ("acceptance.unfit", Severity.VETO)
    assert said in found.text


def test_a_module_that_is_wished_for_or_grows_from_one_may_be_missing():
    error = {**OLD, "::tests.test_a": "error"}
    for module in ("basket.net", "pear", "shared.more"):
        found = judged(run(error, output=f"No module named '{module}'"), wish="make a pear")
        assert found.code == "acceptance.written", module


def test_a_runner_without_reports_is_told_what_it_lacks():
    found = judged(run(None, exit_code=1), run(None, exit_code=0))
    assert "it must leave a JUnit report at MUSTER_JUNIT" in found.text


def test_what_a_person_would_look_at_is_refused_instead():
    found = nobody_looks([Finding("change.secret", Severity.ASK, "a secret"),
                          Finding("change.big", Severity.NOTE, "big")])  # fmt: skip
    assert [f.severity for f in found] == [Severity.VETO, Severity.NOTE]


def test_fit_ones_are_accepted_whatever_the_autonomy_and_others_are_tried_again():
    fit = Finding("acceptance.written", Severity.OK, "fit")
    for autonomy in Autonomy:
        assert decided(fit, autonomy=autonomy).step is Step.ACCEPT
        unfit = Finding("acceptance.unfit", Severity.VETO, "unfit")
        assert decided(fit, unfit, autonomy=autonomy).step is Step.RETRY
        assert decided(autonomy=autonomy).step is not Step.ACCEPT
    assert decided(fit, outcome=Outcome.CRASHED).step is not Step.ACCEPT


def decided(
    *found: Finding, autonomy: Autonomy = Autonomy.FULL, outcome: Outcome = Outcome.COMPLETED
) -> Decision:
    policy = Policy(autonomy=autonomy, max_attempts=2)
    case = Case(findings=found, policy=policy, outcome=outcome, tries=1, about=About.TESTS)
    return decide(case)


def passes(after: CheckResult, **more: Any) -> Finding:
    return judge_acceptance(written(**more), after, None, "coding-1", seen=False)


def test_work_passes_when_each_of_them_has_passed_and_each_file_was_loaded():
    after = {"tests.test_a::one": "passed", "tests.test_b::two": "passed",
             "tests.test_b::here": "skipped", "tests.test_own::bad": "failed"}  # fmt: skip
    found = passes(run(after))
    assert (found.code, found.severity) == ("acceptance.passed", Severity.OK)
    said = found.evidence
    assert (said["tests"], said["visible"], said["hidden"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("after", "shown", "hidden"),
    [
        ({"tests.test_a::one": "failed", "tests.test_b::two": "passed"}, 1, 0),
        ({"tests.test_a::one": "skipped", "tests.test_b::two": "passed"}, 1, 0),
        ({"tests.test_b::two": "passed"}, 1, 0),
        ({"tests.test_a::one": "passed", "::tests.test_b": "error"}, 0, 1),
        ({"tests.test_a::one": "passed"}, 0, 1),
        ({"tests.test_a::one": "passed", "tests.test_b::two": "skipped"}, 0, 1),
        ({"tests.test_a::one": "passed", "tests.test_b::two": "passed",
          "tests.test_b::three": "failed", "tests.test_b::four": "error"}, 0, 2),
        (None, 1, 1),
    ],
)  # fmt: skip
def test_what_failed_was_skipped_or_never_ran_has_not_passed(after, shown, hidden):
    found = passes(run(after))
    assert (found.code, found.severity) == ("acceptance.failed", Severity.VETO)
    assert len(found.evidence["failed"]) == shown
    assert found.evidence["hidden_failed"] == hidden
    assert "test_b" not in found.text
    assert needs_visible_run(written(), run(after)) is bool(shown)


def test_a_run_that_nobody_saw_end_leaves_it_open():
    found = passes(run(None, why="lost", exit_code=None))
    assert (found.code, found.severity) == ("acceptance.none", Severity.ABSTAIN)


def test_a_run_that_hangs_or_says_nothing_is_red():
    for more in ({"why": "timeout", "exit_code": None}, {"exit_code": 0}):
        assert passes(run(None, **more)).code == "acceptance.failed"


def test_how_much_of_the_added_code_they_execute_is_told_where_it_is_known():
    after = run({"tests.test_a::one": "passed", "tests.test_b::two": "passed"})
    assert "share" not in passes(after).evidence
    reach = Share(3, 4, (("calc.py", 9),), "calls")
    found = judge_acceptance(written(), after, None, "coding-1", seen=False, reach=reach)
    assert (found.evidence["covered"], found.evidence["lines"]) == (3, 4)
    assert found.evidence["share"] == 0.75
    assert "executing 3 of the 4 lines" in found.text


def test_a_place_that_hides_nothing_is_told():
    after = run({"tests.test_a::one": "passed", "tests.test_b::two": "passed"})
    found = judge_acceptance(written(), after, None, "coding-1", seen=True)
    assert "kept nothing hidden" in found.text
