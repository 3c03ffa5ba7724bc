"""Every stage of evidence keeps the contract; a run that one rides on counts as a plain one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from muster_docs import Docs

from contracts.stage import StageContract, asked, garbled
from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Severity
from muster.supervision.checks import CheckPlan, CheckRun
from muster.supervision.covered import Coverage
from muster.supervision.evidence import BASE, RESULT, Changed, CheckResult
from muster.supervision.flaky import Flaky
from muster.supervision.mutants import Mutants
from muster.supervision.ride import flips, tells, unsteady
from muster.supervision.runner_python import Pytest
from muster.supervision.stage import Beside, Case, Stage

COMMAND = "python3 -m pytest -q"
PLAN = CheckPlan(
    COMMAND,
    (CheckRun(RESULT, "test", COMMAND, RESULT), CheckRun(BASE, "test", COMMAND, BASE)),
    report_expected=True,
    runner=Pytest(),
)
CHANGED = (Changed("calc.py", "modified", 1, 1),)


def ended(name: str, code: int, tests: dict[str, str] | None, **more: object) -> CheckResult:
    return replace(CheckResult(name, COMMAND, code, "exit", 1.0, "run-1", "", tests), **more)


class TestTheExampleKeepsTheContract(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return Docs()

    @pytest.fixture
    def case(self) -> Case:
        changed = (Changed("docs/index.md", "modified", 1, 1),)
        return Case(TaskType.CHORE, ProjectSettings(test_command=COMMAND), PLAN, (), changed)

    @pytest.fixture
    def ends(self):
        return lambda run: ended(run.name, 0, None)

    def test_documents_that_cannot_be_built_are_a_veto(self, stage, case):
        told, _ = asked(stage, case, lambda run: ended(run.name, 2, None))
        assert [f.severity for f in told.findings] == [Severity.VETO]


class TestCoverageKeepsTheContract(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return Coverage()

    @pytest.fixture
    def case(self) -> Case:
        left = json.dumps({"files": {"calc.py": {"1": ["t::a"]}}})
        return Case(
            TaskType.CHORE,
            ProjectSettings(test_command=COMMAND),
            PLAN,
            (ended(RESULT, 0, {"t::a": "passed"}, left=left),),
            CHANGED,
            {"calc.py": (1,)},
            {"calc.py": "A = 1\n"}.get,
            rider=Beside(),
        )

    @pytest.fixture
    def ends(self):
        return lambda run: ended(run.name, 0, None)

    @pytest.mark.parametrize(
        ("left", "code"),
        [
            ('{"files": {}}', "coverage.changed"),
            ("{}", "coverage.unknown"),
            ("garbled", "coverage.unknown"),
        ],
    )
    def test_it_never_says_nothing_where_nothing_is_known(self, stage, case, left, code):
        (run,) = case.results
        told, _ = asked(stage, replace(case, results=(replace(run, left=left),)), garbled)
        assert [f.code for f in told.findings] == [code]


class TestMutantsKeepsTheContract(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return Mutants()

    @pytest.fixture
    def case(self) -> Case:
        return Case(
            TaskType.CHORE,
            ProjectSettings(test_command=COMMAND),
            PLAN,
            (ended(RESULT, 0, {"t::a": "passed"}),),
            CHANGED,
            {"calc.py": (1,)},
            {"calc.py": "A = 1 + 2\n"}.get,
            seed="s",
        )

    @pytest.fixture
    def ends(self):
        left = json.dumps({"files": {"calc.py": {"1": ["t::a"]}}})
        return lambda run: ended(run.name, 0, None, left=left)


class TestFlakyKeepsTheContract(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return Flaky()

    @pytest.fixture
    def case(self) -> Case:
        results = (ended(BASE, 0, {"t::a": "passed"}), ended(RESULT, 1, {"t::a": "failed"}))
        return Case(TaskType.CHORE, ProjectSettings(test_command=COMMAND), PLAN, results, CHANGED)

    @pytest.fixture
    def ends(self):
        return lambda run: ended(run.name, 1, {"t::a": "failed" if run.at == BASE else "passed"})

    def test_what_it_excuses_passes_in_the_result_it_gives(self, stage, case, ends):
        told, _ = asked(stage, case, ends)
        (settled,) = told.results
        assert (settled.name, settled.exit_code, settled.tests) == (RESULT, 0, {"t::a": "passed"})
        assert "do not count: t::a" in settled.tail


@pytest.mark.parametrize(
    ("result", "counts"),
    [
        (ended(RESULT, 0, {"t::a": "passed"}), True),
        (ended(RESULT, 1, {"t::a": "failed"}), True),
        (ended(RESULT, 1, {"t::a": "passed"}), False),
        (ended(RESULT, 0, None), False),
        (ended(RESULT, 4, {}), False),
        (ended(RESULT, 0, {}, why="timeout"), False),
    ],
)
def test_a_ridden_run_counts_when_it_is_green_or_names_what_fails(result, counts):
    assert tells(PLAN, result) is counts


def test_tests_that_fail_only_while_they_are_measured_are_asked_about():
    red, green = ended(RESULT, 1, None), ended(RESULT, 0, None)
    assert flips(PLAN, red, green)
    assert not flips(PLAN, red, red)
    assert not flips(PLAN, ended(RESULT, 4, None), green)
    assert unsteady(red).severity is Severity.ASK


def test_what_two_stages_give_is_joined():
    one = Beside({"PYTHONPATH": "{given}", "PYTEST_ADDOPTS": "-p a"}, {"a.py": ""}, seconds=3.0)
    two = Beside({"PYTHONPATH": "{given}", "PYTEST_ADDOPTS": "-p b"}, {"b.py": ""})
    both = one.also(two)
    assert both.env == {"PYTHONPATH": "{given}", "PYTEST_ADDOPTS": "-p a -p b"}
    assert set(both.files) == {"a.py", "b.py"}
    assert both.seconds == 3.0
    assert both.digest != one.digest
