"""Tests that fail now and then are told apart from broken ones, by really running them again."""

from __future__ import annotations

import pytest

from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Severity
from muster.supervision.evidence import BASE, FAILED, PASSED, RESULT, CheckResult
from muster.supervision.flaky import BASE_RERUNS, MOST_TESTS, RERUNS, Flaky
from muster.supervision.quality import judge
from muster.supervision.stage import Case, Told
from supervision.trees import PYTEST, changes, drive, execute, plan_of, tree_of

CALC = "def add(a, b):\n    return a + b\n"
TEST = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
CONF = {"conftest.py": "import sys; sys.path.insert(0, '.')\n"}


def coin(name: str, tally: object, fails: str) -> str:
    """A test that fails in those of its runs, counted from 0, of which `fails` holds."""
    return (
        f"import pathlib\n\n\ndef {name}():\n    seen = pathlib.Path({str(tally)!r})\n"
        "    n = int(seen.read_text()) if seen.exists() else 0\n"
        f"    seen.write_text(str(n + 1))\n    assert not ({fails})\n"
    )


@pytest.fixture
def judged(tmp_path):
    """The findings about the step between two trees before and after the stage, and its runs."""

    def both(base, result, command=PYTEST):
        plan = plan_of(TaskType.CHORE, base, result, ProjectSettings(test_command=command))
        results = tuple(
            execute(run, tree_of(run, base, result), tmp_path / run.name) for run in plan.runs
        )
        changed = changes(base, result)
        first = judge(TaskType.CHORE, plan, results, changed)
        settings = ProjectSettings(test_command=command)
        case = Case(TaskType.CHORE, settings, plan, results, changed, findings=first)
        told, runs = drive(Flaky(), case, base, result, tmp_path)
        settled = {run.name: run for run in told.results}
        now = tuple(settled.get(run.name, run) for run in results)
        after = {f.code: f for f in (*judge(TaskType.CHORE, plan, now, changed), *told.findings)}
        return {f.code: f for f in first}, after, runs

    return both


def test_a_test_that_fails_at_times_on_the_base_too_is_excused(judged, tmp_path):
    tally = tmp_path / "tally"
    # The result's run comes first: it fails there, passes on the base, and by turns later.
    base = {"calc.py": CALC, "test_calc.py": TEST, **CONF}
    base |= {"tests/test_coin.py": coin("test_coin", tally, "n % 2 == 0")}
    before, after, runs = judged(base, base | {"calc.py": CALC + "\n\nONE = 1\n"})
    assert before["tests.broken"].severity is Severity.VETO
    assert "tests.broken" not in after
    assert after["tests.green"].severity is Severity.OK
    told = after["tests.flaky"]
    assert told.severity is Severity.NOTE
    assert told.evidence["tests"] == ["tests.test_coin::test_coin"]
    assert told.evidence["reruns"] >= 1
    assert all(list(run.tests) == ["tests.test_coin::test_coin"] for run in runs)


@pytest.mark.long
def test_a_test_that_fails_each_time_stays_a_veto(judged):
    base = {"calc.py": CALC, "test_calc.py": TEST, **CONF}
    before, after, runs = judged(base, base | {"calc.py": CALC.replace("+", "-")})
    assert before["tests.broken"].severity is after["tests.broken"].severity is Severity.VETO
    assert set(after) == {"tests.broken"}
    assert len(runs) == 6


def test_what_fails_on_both_sides_whenever_it_is_alone_is_not_excused():
    base = {"calc.py": CALC, "test_calc.py": TEST}
    settings = ProjectSettings(test_command=PYTEST)
    work = base | {"calc.py": CALC.replace("+", "-")}
    plan = plan_of(TaskType.CHORE, base, work, settings)

    def ended(name, **tests):
        # test_second sees what test_first left: alone it fails, whatever the code does.
        code = int(FAILED in tests.values())
        return CheckResult(name, PYTEST, code, "exit", 1.0, name, "", tests=tests)

    first = (
        ended(BASE, test_first=PASSED, test_second=PASSED),
        ended(RESULT, test_first=PASSED, test_second=FAILED),
    )
    steps = Flaky().steps(Case(TaskType.CHORE, settings, plan, first, changes(base, work)))
    wanted, seen, told = next(steps), [], None
    while told is None:
        seen += [run.at for run in wanted]
        try:
            wanted = steps.send([ended(run.name, test_second=FAILED) for run in wanted])
        except StopIteration as end:
            told = end.value
    assert told == Told()
    assert (seen.count(BASE), seen.count(RESULT)) == (BASE_RERUNS, RERUNS)


def test_a_change_that_makes_a_test_fail_at_times_is_not_excused(judged, tmp_path):
    tally = tmp_path / "tally"
    base = {"calc.py": CALC, "test_calc.py": TEST, **CONF}
    lucky = (
        f"import pathlib\nseen = pathlib.Path({str(tally)!r})\n"
        "n = int(seen.read_text()) if seen.exists() else 0\nseen.write_text(str(n + 1))\n\n\n"
        "def add(a, b):\n    return a + b if n % 2 else a - b\n"
    )
    before, after, _ = judged(base, base | {"calc.py": lucky})
    assert before["tests.broken"].severity is Severity.VETO
    assert after["tests.unsteady"].severity is Severity.ASK
    assert "tests.flaky" not in after
    counts = after["tests.unsteady"].evidence["counts"]["test_calc::test_add"]
    assert counts["base"]["failed"] == 0
    assert counts["base"]["passed"] == 5
    assert counts["result"]["passed"] > 0


def test_a_new_test_that_fails_is_not_run_again(judged, tmp_path):
    base = {"calc.py": CALC, "test_calc.py": TEST, **CONF}
    new = {"test_new.py": coin("test_new", tmp_path / "tally", "n == 0")}
    _, after, runs = judged(base, base | new)
    assert after["tests.red"].severity is Severity.VETO
    assert runs == []


def test_many_failing_tests_are_the_change(judged):
    many = "".join(
        f"def test_{n}():\n    assert add({n}, 1) == {n + 1}\n\n\n" for n in range(MOST_TESTS + 1)
    )
    base = {"calc.py": CALC, "test_calc.py": f"from calc import add\n\n\n{many}", **CONF}
    _, after, runs = judged(base, base | {"calc.py": CALC.replace("+", "-")})
    assert set(after) == {"tests.broken"}
    assert runs == []


def test_where_single_tests_cannot_be_run_nothing_is_run_again(judged):
    base = {"calc.py": CALC, "test_calc.py": TEST, **CONF}
    command = f"PYTEST_ADDOPTS= {PYTEST}"
    _, after, runs = judged(base, base | {"calc.py": CALC.replace("+", "-")}, command)
    assert after["tests.broken"].severity is Severity.VETO
    assert runs == []


@pytest.mark.long
def test_tests_of_one_id_in_folders_and_with_parameters_are_found(judged, tmp_path):
    tally = tmp_path / "tally"
    text = (
        "import pathlib\n\nimport pytest\n\n\nclass TestIt:\n"
        "    @pytest.mark.parametrize('how', ['a::b', 'c/d[e]'])\n    def test_it(self, how):\n"
        f"        seen = pathlib.Path({str(tally)!r})\n"
        "        n = int(seen.read_text()) if seen.exists() else 0\n"
        "        if how == 'a::b':\n            seen.write_text(str(n + 1))\n"
        "            assert n % 2\n"
    )
    base = {"calc.py": CALC, "tests/deep/test_it.py": text, **CONF}
    _, after, runs = judged(base, base | {"calc.py": CALC + "\n\nONE = 1\n"})
    assert after["tests.flaky"].evidence["tests"] == ["tests.deep.test_it.TestIt::test_it[a::b]"]
    assert all(len(run.tests) == 1 for run in runs)
