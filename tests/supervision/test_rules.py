"""Rules about runs that end oddly, on results as the engine reports them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.checks import plan_checks
from muster.supervision.evidence import Changed, CheckResult
from muster.supervision.quality import judge
from supervision.trees import RUNNERS

CODE = (Changed("src/a.py", "modified"),)
WITH_TEST = (*CODE, Changed("tests/test_a.py", "added"))
SETTINGS = ProjectSettings(test_command="pytest -q")
OK = {"t::a": "passed", "t::b": "passed"}
BAD = {"t::a": "passed", "t::b": "failed"}
KEPT, PROOF = "result+base tests", "base+result tests"


def run(
    name: str,
    code: int | None = 0,
    tests: Mapping[str, str] | None = None,
    why: str = "exit",
    tail: str = "",
) -> CheckResult:
    return CheckResult(name, "pytest -q", code, why, 2.0, "run-1", tail, tests)


def found(
    *results: CheckResult,
    task_type: TaskType = TaskType.CHORE,
    changed: tuple[Changed, ...] = CODE,
    settings: ProjectSettings = SETTINGS,
) -> dict[str, Finding]:
    runner = RUNNERS.of(settings.test_command or "")
    plan = plan_checks(task_type, settings, changed, runner=runner)
    return {f.code: f for f in judge(task_type, plan, results, changed)}


def severities(findings: Mapping[str, Finding]) -> dict[str, str]:
    return {code: str(finding.severity) for code, finding in findings.items()}


def test_without_a_test_command_the_verdict_abstains() -> None:
    findings = found(settings=ProjectSettings())
    assert severities(findings) == {"tests.none": "abstain"}


@pytest.mark.parametrize("why", ["lost", "stopped", "killed", "exec", "setup", "something new"])
@pytest.mark.parametrize("name", ["result", "base"])
def test_a_run_that_nobody_saw_end_leaves_the_verdict_open(why: str, name: str) -> None:
    other = run("base" if name == "result" else "result", 0, OK)
    findings = found(run(name, None, why=why), other)
    assert severities(findings) == {"tests.unknown": "abstain"}
    assert f"'{name}'" in findings["tests.unknown"].text


def test_an_unseen_base_does_not_excuse_a_red_result() -> None:
    findings = found(run("base", None, why="lost"), run("result", 1, BAD))
    assert severities(findings) == {"tests.red": "veto"}


@pytest.mark.parametrize("missing", ["base", "result", KEPT, PROOF])
def test_a_planned_run_that_is_missing_leaves_the_verdict_open(missing: str) -> None:
    new = OK | {"t::new": "passed"}
    runs = [
        run("base", 0, OK),
        run("result", 0, new),
        run(KEPT, 0, OK),
        run(PROOF, 1, OK | {"t::new": "failed"}),
    ]
    whole = found(*runs, task_type=TaskType.FEATURE, changed=WITH_TEST)
    assert severities(whole) == {"tests.green": "ok", "tests.proven": "ok"}
    runs = [r for r in runs if r.name != missing]
    findings = found(*runs, task_type=TaskType.FEATURE, changed=WITH_TEST)
    assert findings["tests.unknown"].severity is Severity.ABSTAIN
    assert "tests.green" not in findings


def test_tests_that_do_not_end_any_more_are_refused() -> None:
    late = run("result", None, why="timeout")
    findings = found(run("base", 0, OK), late)
    assert severities(findings) == {"tests.timeout": "veto"}
    assert "on the base they end after 2 s" in findings["tests.timeout"].text
    both = found(run("base", None, why="timeout"), late)
    assert severities(both) == {"tests.timeout": "abstain"}


def test_a_base_that_hangs_and_a_result_that_ends_is_a_fix() -> None:
    findings = found(run("base", None, why="timeout"), run("result", 0, OK), task_type=TaskType.BUG)
    assert severities(findings) == {"tests.fixed": "ok", "tests.green": "ok"}


def test_running_out_of_memory_is_red() -> None:
    findings = found(run("base", 0, OK), run("result", -9, why="memory"))
    assert severities(findings) == {"tests.broken": "veto"}
    assert "out of memory" in findings["tests.broken"].text


def test_old_failures_do_not_hide_a_run_that_broke_off() -> None:
    known = {"t::a": "passed", "t::b": "failed"}
    steady = found(run("base", 1, known), run("result", 1, known))
    assert severities(steady) == {"tests.red_before": "note"}
    for code in (2, 3, -11, 139):
        broke_off = found(run("base", 1, known), run("result", code, known))
        assert (
            "veto" in severities(broke_off).values() or "abstain" in severities(broke_off).values()
        )


def test_running_out_of_memory_twice_with_the_same_failures_is_no_comparison() -> None:
    for task_type, severity in ((TaskType.FEATURE, "veto"), (TaskType.CHORE, "abstain")):
        runs = [run(name, None, BAD, why="memory") for name in ("base", "result")]
        assert list(severities(found(*runs, task_type=task_type)).values()) == [severity]


def test_red_without_any_failing_test_is_refused() -> None:
    findings = found(run("base", 0, OK), run("result", 1, OK, tail="coverage too low"))
    assert severities(findings) == {"tests.broken": "veto"}
    assert findings["tests.broken"].evidence["runs"][1]["tail"] == "coverage too low"


def test_new_tests_that_fail_are_named() -> None:
    tests = OK | {"t::new": "error"}
    findings = found(run("base", 0, OK), run("result", 1, tests))
    assert severities(findings) == {"tests.red": "veto"}
    assert findings["tests.red"].evidence["broken"] == ["t::new"]


def test_a_test_that_vanished_is_asked_about_also_when_no_test_file_changed() -> None:
    findings = found(run("base", 0, OK), run("result", 0, {"t::a": "passed"}))
    assert severities(findings) == {"tests.missing": "ask", "tests.green": "ok"}
    assert findings["tests.missing"].evidence["missing"] == ["t::b"]


@pytest.mark.parametrize("task_type", [TaskType.FEATURE, TaskType.BUG])
def test_a_task_that_gives_no_reason_to_remove_or_skip_tests_is_refused_for_it(
    task_type: TaskType,
) -> None:
    base = run("base", 0, OK)
    for tests, code in (
        ({"t::a": "passed"}, "tests.missing"),
        (OK | {"t::b": "skipped"}, "tests.skipped"),
    ):
        findings = found(base, run("result", 0, tests), task_type=task_type)
        assert findings[code].severity is Severity.VETO
        assert "tests.green" not in findings


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        ({"old::test_x": "passed"}, {"new.place::test_x": "passed"}, []),
        ({"t::test_x": "passed"}, {"t::test_x[1]": "passed", "t::test_x[2]": "passed"}, []),
        ({"t::test_x[1]": "passed"}, {"t::test_x[one]": "passed"}, []),
        ({"t::x[1]": "passed", "t::x[2]": "passed"}, {"t::x[one]": "passed"}, ["t::x[2]"]),
        ({"a::t": "passed", "b::t": "passed"}, {"a::t": "passed"}, ["b::t"]),
        ({"a::t": "passed"}, {"a::other": "passed"}, ["a::t"]),
    ],
)
def test_a_test_that_went_elsewhere_is_not_gone(
    before: dict[str, str], after: dict[str, str], gone: list[str]
) -> None:
    findings = found(run("base", 0, before), run("result", 0, after), task_type=TaskType.BUG)
    assert ("tests.missing" in findings) is bool(gone)
    if gone:
        assert findings["tests.missing"].evidence["missing"] == gone


def test_a_deleted_file_whose_tests_went_elsewhere_is_no_loss() -> None:
    changed = (Changed("tests/test_old.py", "deleted"), Changed("tests/test_new.py", "added"))
    findings = found(
        *(
            run("base", 0, {"tests.test_old::t": "passed"}),
            run(KEPT, 0, {"tests.test_old::t": "passed"}),
        ),
        run("result", 0, {"tests.test_new::t": "passed"}),
        changed=changed,
    )
    assert severities(findings) == {"tests.green": "ok"}


def test_a_base_test_that_is_no_longer_run_with_the_new_code_is_asked_about() -> None:
    new = OK | {"t::new": "passed"}
    findings = found(
        run("base", 0, OK),
        run("result", 0, new),
        run(KEPT, 0, {"t::a": "passed"}),
        changed=WITH_TEST,
    )
    assert findings["tests.missing"].evidence["missing"] == ["t::b"]


def test_a_test_that_is_skipped_now_is_asked_about() -> None:
    findings = found(run("base", 0, OK), run("result", 0, OK | {"t::b": "skipped"}))
    assert severities(findings) == {"tests.skipped": "ask", "tests.green": "ok"}


def test_a_fix_by_changed_tests_is_refused_also_beside_an_old_failure() -> None:
    both = {"t::a": "failed", "t::b": "failed"}
    findings = found(
        run("base", 1, both),
        run("result", 1, both | {"t::a": "passed"}),
        run(KEPT, 1, both),
        changed=WITH_TEST,
    )
    assert findings["tests.only_by_changed_tests"].severity is Severity.VETO
    assert findings["tests.only_by_changed_tests"].evidence["failing"] == ["t::a"]


def test_a_deleted_test_file_is_asked_about() -> None:
    gone = (*CODE, Changed("tests/test_gone.py", "deleted"))
    findings = found(run("base"), run("result"), run(KEPT), changed=gone)
    assert findings["tests.missing"].evidence["deleted_files"] == ["tests/test_gone.py"]


def test_success_without_the_report_that_the_base_wrote_is_refused() -> None:
    findings = found(run("base", 0, OK), run("result", 0, None))
    assert severities(findings) == {"tests.no_report": "veto"}
    mixed = found(run("base", 0, OK), run("result", 0, OK), run(KEPT, 0, None), changed=WITH_TEST)
    assert severities(mixed) == {"tests.no_report": "veto"}


def test_a_report_that_never_comes_leaves_the_exit_status_or_a_question() -> None:
    assert severities(found(run("base"), run("result"))) == {"tests.green": "ok"}
    crashed = found(run("base", 4), run("result"))
    assert severities(crashed) == {"tests.no_report": "abstain"}


TOLD = {
    "unittest": "....\n-----\nRan {} tests in 0.001s\n\nOK\n",
    "pytest": "....  [100%]\n{} passed in 0.01s\n",
    "pytest, loud": "===== 1 failed, {} passed in 0.01s =====\n",
    "cargo": "test result: ok. {} passed; 0 failed; 0 ignored\n",
    "jest": "Tests:       1 skipped, 3 passed, {} total\n",
    "vitest": "      Tests  3 passed ({})\n",
}


@pytest.mark.parametrize("words", TOLD.values(), ids=TOLD)
def test_a_runner_that_falls_silent_or_tells_of_less_is_not_believed(words: str) -> None:
    told = [run("base", tail=words.format(4)), run("result", tail=words.format(4))]
    assert severities(found(*told)) == {"tests.green": "ok"}
    silent = found(told[0], run("result", tail="all good\n"))
    assert severities(silent) == {"tests.silent": "veto"}
    assert "told of 4" in silent["tests.silent"].text
    fewer = found(told[0], run("result", tail=words.format(3)))
    assert severities(fewer) == {"tests.fewer": "ask", "tests.green": "ok"}


def test_go_tells_of_its_packages() -> None:
    base = run("base", tail="ok  \tx/a\t0.003s\nok  \tx/b\t(cached)\n")
    less = found(base, run("result", tail="ok  \tx/a\t0.003s\n"))
    assert severities(less) == {"tests.fewer": "ask", "tests.green": "ok"}


def test_a_feature_without_new_tests_is_noted() -> None:
    findings = found(run("base", 0, OK), run("result", 0, OK), task_type=TaskType.FEATURE)
    assert severities(findings) == {"tests.no_new": "note", "tests.green": "ok"}


def test_a_fix_that_old_tests_prove_with_new_tests_that_do_not_is_asked_about() -> None:
    findings = found(
        run("base", 1, BAD),
        run("result", 0, OK | {"t::new": "passed"}),
        run(KEPT, 0, OK),
        run(PROOF, 0, OK | {"t::new": "passed"}),
        task_type=TaskType.BUG,
        changed=WITH_TEST,
    )
    assert severities(findings) == {"tests.prove_nothing": "ask", "tests.green": "ok"}


def test_old_failures_on_the_base_prove_nothing_for_new_tests() -> None:
    new = {"t::new": "passed"}
    findings = found(
        run("base", 1, BAD),
        run("result", 1, BAD | new),
        run(KEPT, 1, BAD),
        run(PROOF, 1, BAD | new),
        task_type=TaskType.FEATURE,
        changed=WITH_TEST,
    )
    assert findings["tests.prove_nothing"].severity is Severity.VETO


def test_a_test_file_that_cannot_be_loaded_without_the_change_is_proof() -> None:
    findings = found(
        run("base", 0, OK),
        run("result", 0, OK | {"tests.test_a::new": "passed"}),
        run(KEPT, 0, OK),
        run(PROOF, 2, {"::tests.test_a": "error"}),
        task_type=TaskType.FEATURE,
        changed=WITH_TEST,
    )
    assert severities(findings) == {"tests.green": "ok", "tests.proven": "ok"}


def test_a_test_file_that_could_not_be_loaded_on_the_base_and_can_now_is_fixed() -> None:
    findings = found(
        run("base", 2, {"t::a": "passed", "::t2": "error"}),
        run("result", 0, {"t::a": "passed", "t2::x": "passed"}),
        task_type=TaskType.BUG,
    )
    assert severities(findings) == {"tests.fixed": "ok", "tests.green": "ok"}


TESTS = st.none() | st.dictionaries(
    st.sampled_from(["t::a", "t::b", "::t"]),
    st.sampled_from(["passed", "failed", "error", "skipped"]),
)
RUNS = st.fixed_dictionaries(
    {},
    optional={
        name: st.builds(
            run,
            st.just(name),
            st.sampled_from([None, 0, 1, 2, 4, 5, 127, -9]),
            TESTS,
            st.sampled_from(["exit", "exit", "exit", "timeout", "lost", "memory", "exec"]),
        )
        for name in ("base", "result", KEPT, PROOF)
    },
)


@given(
    st.sampled_from(TaskType),
    RUNS,
    st.sampled_from([CODE, WITH_TEST, (*WITH_TEST, Changed("tests/test_b.py", "deleted"))]),
)
def test_nothing_is_called_good_that_no_run_showed(
    task_type: TaskType, runs: dict[str, CheckResult], changed: tuple[Changed, ...]
) -> None:
    findings = found(*runs.values(), task_type=task_type, changed=changed)
    assert findings
    assert all(f.text.endswith(".") and not f.text[0].islower() for f in findings.values())
    against = {Severity.VETO, Severity.ABSTAIN, Severity.ASK}
    if any(f.severity in against for f in findings.values()):
        return
    result = runs["result"]
    assert result.why == "exit"
    base = runs["base"]
    newly = result.failing - base.failing
    assert not newly
    if result.exit_code != 0:
        assert base.failing >= result.failing
        assert result.failing
    if changed is not CODE:
        assert not runs[KEPT].failing - result.failing
    if changed is not CODE and task_type in {TaskType.BUG, TaskType.FEATURE}:
        assert runs[PROOF].failing or runs[PROOF].exit_code != 0 or runs[PROOF].why != "exit"
