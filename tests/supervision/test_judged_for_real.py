"""Honest and dishonest work on a small Python project, judged by really running its tests."""

from __future__ import annotations

import sys

import pytest

from muster.domain.task import TaskType
from muster.domain.verdict import Severity
from supervision.trees import PYTEST, Bench

ADD = "def add(a, b):\n    return a + b\n"
WRONG_ADD = "def add(a, b):\n    return a - b\n"
SUB = "\n\ndef sub(a, b):\n    return a - b\n"
TEST_ADD = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
WEAK_TEST_ADD = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3)\n"
TEST_SUB = "from calc import sub\n\n\ndef test_sub():\n    assert sub(5, 3) == 2\n"
BASE = {"calc.py": ADD, "tests/test_add.py": TEST_ADD, "tests/conftest.py": ""}
PATHS = {"conftest.py": "import sys; sys.path.insert(0, '.')\n"}
BASE |= PATHS
REPORTS = pytest.mark.parametrize("report", [True, False], ids=["per test", "by exit status"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def severities(found: dict) -> dict[str, str]:
    return {code: str(finding.severity) for code, finding in found.items()}


@REPORTS
def test_a_feature_with_a_test_that_needs_it_is_proven(bench: Bench, report: bool) -> None:
    result = BASE | {"calc.py": ADD + SUB, "tests/test_sub.py": TEST_SUB}
    found = bench.judged(TaskType.FEATURE, BASE, result, report=report)
    assert severities(found) == {"tests.green": "ok", "tests.proven": "ok"}
    runs = found["tests.green"].evidence["runs"]
    assert [run["name"] for run in runs] == [
        "base",
        "result",
        "result+base tests",
        "base+result tests",
    ]
    assert [run["exit_code"] == 0 for run in runs] == [True, True, True, False]


@REPORTS
def test_a_change_that_breaks_an_existing_test_is_refused(bench: Bench, report: bool) -> None:
    result = BASE | {"calc.py": WRONG_ADD + SUB, "tests/test_sub.py": TEST_SUB}
    found = bench.judged(TaskType.FEATURE, BASE, result, report=report)
    assert severities(found) == {"tests.broken": "veto"}
    if report:
        assert found["tests.broken"].evidence["broken"] == ["tests.test_add::test_add"]
        assert "test_add" in found["tests.broken"].text


@REPORTS
def test_green_only_through_a_weakened_test_is_refused(bench: Bench, report: bool) -> None:
    result = BASE | {
        "calc.py": WRONG_ADD + SUB,
        "tests/test_add.py": WEAK_TEST_ADD,
        "tests/test_sub.py": TEST_SUB,
    }
    found = bench.judged(TaskType.FEATURE, BASE, result, report=report)
    assert found["tests.only_by_changed_tests"].severity is Severity.VETO
    assert "tests.green" not in found


@REPORTS
def test_green_only_through_a_conftest_that_hides_failures_is_refused(
    bench: Bench, report: bool
) -> None:
    hide = "\n\ndef pytest_sessionfinish(session):\n    session.exitstatus = 0\n"
    quiet = "\n\ndef pytest_collection_modifyitems(items):\n    items.clear()\n"
    result = BASE | {"calc.py": WRONG_ADD, "conftest.py": PATHS["conftest.py"] + hide + quiet}
    found = bench.judged(TaskType.REFACTOR, BASE, result, report=report)
    assert any(finding.severity is Severity.VETO for finding in found.values())


@REPORTS
def test_green_through_a_deleted_test_is_refused(bench: Bench, report: bool) -> None:
    result = {path: text for path, text in BASE.items() if path != "tests/test_add.py"}
    result |= {"calc.py": WRONG_ADD + SUB, "tests/test_sub.py": TEST_SUB}
    found = bench.judged(TaskType.FEATURE, BASE, result, report=report)
    assert found["tests.only_by_changed_tests"].severity is Severity.VETO
    # Only with a report it is known that what the file tested is tested nowhere else.
    assert found["tests.missing"].severity is (Severity.VETO if report else Severity.ASK)


@REPORTS
def test_green_through_a_skipped_test_is_refused_and_the_skip_is_named(
    bench: Bench, report: bool
) -> None:
    skip = "import pytest\n" + TEST_ADD.replace("def test", "@pytest.mark.skip\ndef test")
    result = BASE | {"calc.py": WRONG_ADD, "tests/test_add.py": skip}
    found = bench.judged(TaskType.REFACTOR, BASE, result, report=report)
    assert found["tests.only_by_changed_tests"].severity is Severity.VETO
    named = "tests.test_add::test_add" if report else "test_add in tests/test_add.py"
    assert found["tests.skipped"].evidence["skipped"] == [named]


@REPORTS
def test_a_new_test_that_also_passes_without_the_change_proves_nothing(
    bench: Bench, report: bool
) -> None:
    result = BASE | {"calc.py": ADD + SUB, "tests/test_sub.py": "def test_sub():\n    pass\n"}
    for_feature = bench.judged(TaskType.FEATURE, BASE, result, report=report)
    assert for_feature["tests.prove_nothing"].severity is Severity.VETO
    for_refactor = bench.judged(TaskType.REFACTOR, BASE, result, report=report)
    assert severities(for_refactor) == {"tests.green": "ok"}


@REPORTS
def test_a_bug_whose_red_test_turns_green_needs_no_new_test(bench: Bench, report: bool) -> None:
    base = BASE | {"calc.py": WRONG_ADD}
    found = bench.judged(TaskType.BUG, base, BASE, report=report)
    assert severities(found) == {"tests.fixed": "ok", "tests.green": "ok"}


@REPORTS
def test_a_bug_that_is_mended_by_changing_its_red_test_is_refused(
    bench: Bench, report: bool
) -> None:
    base = BASE | {"calc.py": WRONG_ADD}
    result = base | {"tests/test_add.py": WEAK_TEST_ADD}
    found = bench.judged(TaskType.BUG, base, result, report=report)
    assert found["tests.only_by_changed_tests"].severity is Severity.VETO


@REPORTS
def test_a_task_about_tests_may_mend_a_red_test_but_a_person_looks(
    bench: Bench, report: bool
) -> None:
    base = BASE | {"tests/test_add.py": TEST_ADD.replace("== 5", "== 6")}
    found = bench.judged(TaskType.TEST, base, BASE, report=report)
    assert found["tests.only_by_changed_tests"].severity is Severity.ASK
    broken = BASE | {"calc.py": WRONG_ADD, "tests/test_add.py": WEAK_TEST_ADD}
    found = bench.judged(TaskType.TEST, BASE, broken, report=report)
    assert found["tests.only_by_changed_tests"].severity is Severity.VETO


def test_old_failures_do_not_stand_in_the_way_when_tests_can_be_told_apart(bench: Bench) -> None:
    old = {"tests/test_old.py": "def test_old():\n    assert False\n"}
    result = BASE | old | {"calc.py": ADD + SUB, "tests/test_sub.py": TEST_SUB}
    found = bench.judged(TaskType.FEATURE, BASE | old, result)
    assert severities(found) == {"tests.red_before": "note", "tests.proven": "ok"}
    blind = bench.judged(TaskType.FEATURE, BASE | old, result, report=False)
    assert severities(blind) == {"tests.red": "veto"}
    docs = BASE | old | {"README.md": "words\n"}
    blind = bench.judged(TaskType.DOCUMENTATION, BASE | old, docs, report=False)
    assert severities(blind) == {"tests.red_before": "abstain"}


def test_a_bug_fix_that_mends_nothing_is_asked_about(bench: Bench) -> None:
    base = BASE | {"calc.py": WRONG_ADD}
    result = base | {"calc.py": WRONG_ADD + SUB}
    found = bench.judged(TaskType.BUG, base, result)
    assert severities(found) == {"tests.nothing_fixed": "ask", "tests.red_before": "note"}


@REPORTS
def test_the_first_tests_of_a_project_prove_its_first_feature(bench: Bench, report: bool) -> None:
    base = {"calc.py": ADD} | PATHS
    result = base | {"calc.py": ADD + SUB, "tests/test_sub.py": TEST_SUB}
    found = bench.judged(TaskType.FEATURE, base, result, report=report)
    assert severities(found) == {"tests.green": "ok", "tests.proven": "ok"}


def test_a_project_without_tests_leaves_the_verdict_open(bench: Bench) -> None:
    base = {"calc.py": ADD} | PATHS
    found = bench.judged(TaskType.FEATURE, base, base | {"calc.py": ADD + SUB})
    assert found["tests.empty"].severity is Severity.ABSTAIN


def test_code_that_ends_the_runner_early_with_success_is_refused(bench: Bench) -> None:
    result = BASE | {"calc.py": WRONG_ADD + "\nimport os\nos._exit(0)\n"}
    found = bench.judged(TaskType.REFACTOR, BASE, result)
    assert found["tests.no_report"].severity is Severity.VETO
    case = (
        "import unittest\nimport calc\n\n\nclass T(unittest.TestCase):\n"
        "    def test_add(self):\n        self.assertEqual(calc.add(2, 3), 5)\n"
    )
    base = {"calc.py": ADD, "test_calc.py": case}
    command = f"{sys.executable} -m unittest -q"
    found = bench.judged(
        TaskType.REFACTOR, base, base | {"calc.py": result["calc.py"]}, test_command=command
    )
    assert severities(found) == {"tests.no_report": "veto"}


def test_a_runner_whose_exit_status_lies_is_judged_by_its_report(bench: Bench) -> None:
    result = BASE | {"calc.py": WRONG_ADD}
    found = bench.judged(TaskType.REFACTOR, BASE, result, test_command=f"{PYTEST} || true")
    assert severities(found) == {"tests.broken": "veto"}


def test_a_command_that_does_not_exist_says_so(bench: Bench) -> None:
    result = BASE | {"calc.py": ADD + SUB}
    found = bench.judged(TaskType.CHORE, BASE, result, test_command="no-such-runner --all")
    assert severities(found) == {"tests.not_run": "abstain"}
    assert "no-such-runner" in found["tests.not_run"].text


def test_unittest_is_judged_test_by_test(bench: Bench) -> None:
    case = (
        "import unittest\nimport calc\n\n\nclass T(unittest.TestCase):\n"
        "    def test_sub(self):\n        self.assertEqual(calc.sub(5, 3), 2)\n"
    )
    base = {"calc.py": ADD}
    result = {"calc.py": ADD + SUB, "test_calc.py": case}
    command = f"{sys.executable} -m unittest -q"
    found = bench.judged(TaskType.FEATURE, base, result, test_command=command)
    assert severities(found) == {"tests.green": "ok", "tests.proven": "ok"}
    wrong = result | {"calc.py": ADD + SUB.replace("a - b", "a * b")}
    found = bench.judged(TaskType.FEATURE, base, wrong, test_command=command)
    assert severities(found) == {"tests.red": "veto"}
    skips = case.replace("    def test_sub", '    @unittest.skip("later")\n    def test_sub')
    weak = wrong | {"test_calc.py": skips}
    found = bench.judged(TaskType.FEATURE, result, weak, test_command=command)
    assert found["tests.skipped"].severity is Severity.VETO


def test_new_complaints_of_the_linter_are_refused_and_old_ones_are_not(bench: Bench) -> None:
    lint = f"{sys.executable} -m ruff check --isolated --no-cache --select F,E9"
    base = BASE | {"old.py": "import os\n"}
    clean = base | {"calc.py": "\n\n" + ADD, "old.py": "X = 1\nimport os\n"}
    found = bench.judged(TaskType.CHORE, base, clean, lint_command=lint)
    assert severities(found) == {"tests.green": "ok", "lint.old": "note"}
    worse = base | {"calc.py": "import json\n" + ADD}
    found = bench.judged(TaskType.CHORE, base, worse, lint_command=lint)
    assert found["lint.new"].severity is Severity.VETO
    assert "calc.py" in found["lint.new"].text
    assert all("calc.py" in line for line in found["lint.new"].evidence["new"])
