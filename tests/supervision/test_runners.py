"""Every test runner keeps the contract, on what its real program said and on the program itself."""

from __future__ import annotations

import json

import pytest
from muster_nodetest import NodeTest

from contracts.runner import RealRunnerContract, RunnerContract
from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Severity
from muster.supervision.evidence import BASE, RESULT, RESULT_BASE_TESTS, CheckResult
from muster.supervision.quality import judge
from muster.supervision.runner import Ran, Runners
from muster.supervision.runner_cargo import CargoTest
from muster.supervision.runner_go import GoTest
from muster.supervision.runner_js import Jest, Vitest
from muster.supervision.runner_python import Pytest, Unittest
from supervision.runner_samples import (
    CARGO,
    GO,
    JEST,
    NODE,
    PYTEST,
    UNITTEST,
    VITEST,
    recorded,
)
from supervision.trees import changes, plan_of

ALL = Runners(
    {"cargo": CargoTest, "go": GoTest, "jest": Jest, "pytest": Pytest, "unittest": Unittest,
     "vitest": Vitest}
)  # fmt: skip


class TestPytestKeepsTheContract(RunnerContract, RealRunnerContract):
    theirs = (PYTEST.command, "pytest -q", ".venv/bin/py.test a", "python -m pytest && echo done")
    others = (
        "make test",
        "pytest a && pytest b",
        "python -m unittest",
        "npx jest -c pytest.config",
    )

    @pytest.fixture
    def runner(self):
        return Pytest()

    @pytest.fixture
    def sample(self):
        return PYTEST


class TestUnittestKeepsTheContract(RunnerContract, RealRunnerContract):
    theirs = (
        UNITTEST.command,
        "python -m unittest",
        "cd a && python3 -B -m unittest discover -s t",
    )
    others = (
        "python -m unittest a && python -m unittest b",
        "pytest unittest",
        "python -m unittester",
    )

    @pytest.fixture
    def runner(self):
        return Unittest()

    @pytest.fixture
    def sample(self):
        return UNITTEST


class TestVitestKeepsTheContract(RunnerContract):
    theirs = ("npx vitest run", "vitest", "node node_modules/vitest/vitest.mjs run --coverage")
    others = (
        "vitest --outputFile=a.xml",
        "NODE_OPTIONS=--a vitest",
        "npx jest",
        "cat vitest.config.ts",
    )

    @pytest.fixture
    def runner(self):
        return Vitest()

    @pytest.fixture
    def sample(self):
        return VITEST

    @pytest.fixture
    def ran(self):
        return recorded("vitest")


class TestJestKeepsTheContract(RunnerContract):
    theirs = (
        "npx jest",
        "npx jest@30 src",
        "node --a node_modules/jest/bin/jest.js -c jest.config.js",
    )
    others = ("jest --json", "jest a; jest b", "npm test", "node jest-runner.js", "vitest run")

    @pytest.fixture
    def runner(self):
        return Jest()

    @pytest.fixture
    def sample(self):
        return JEST

    @pytest.fixture
    def ran(self):
        return recorded("jest")


class TestGoKeepsTheContract(RunnerContract):
    theirs = ("go test ./...", "go vet ./... && go test -race ./...", "go test -json ./... 2>&1")
    others = ("go test ./... | tee log", "go test > log", "go build", "gotestsum", "go testing")

    @pytest.fixture
    def runner(self):
        return GoTest()

    @pytest.fixture
    def sample(self):
        return GO

    @pytest.fixture
    def ran(self):
        return recorded("go")

    def test_people_read_what_failing_tests_said(self, runner, ran):
        said = runner.read(ran).output
        assert "sum_test.go:14: got 3" in said
        assert "undefined: absent" in said
        assert "{}" not in said
        assert '"Action"' not in said


class TestCargoKeepsTheContract(RunnerContract):
    theirs = ("cargo test", "cargo +stable test --workspace", "cargo t -- --test-threads 1")
    others = (
        "cargo test --no-run",
        "cargo test -q",
        "cargo build",
        "cargo nextest run",
        "cargo test | cat",
    )

    @pytest.fixture
    def runner(self):
        return CargoTest()

    @pytest.fixture
    def sample(self):
        return CARGO

    @pytest.fixture
    def ran(self):
        return recorded("cargo")

    def test_what_cannot_be_built_is_told_by_its_target(self, runner):
        text = (
            'error: could not compile `my_demo` (test "it") due to 1 previous error\n'
            "error: could not compile `my_demo` (lib test) due to 2 previous errors; 1 warning\n"
            "error: could not compile `old` due to previous error\n"
        )
        told = runner.read(Ran(None, text, lambda: text)).tests
        assert told == dict.fromkeys(("tests/it.rs::", "src/lib.rs (my-demo)::", "old::"), "error")


class TestTheExampleKeepsTheContract(RunnerContract):
    theirs = ("node --test", "node --experimental-vm-modules --test test/*.mjs")
    others = (
        "node --test-only a",
        "node --test --test-reporter=tap",
        "npx jest",
        "node a; c --test",
    )

    @pytest.fixture
    def runner(self):
        return NodeTest()

    @pytest.fixture
    def sample(self):
        return NODE


@pytest.mark.needs_vitest
class TestTheRealVitest(RealRunnerContract):
    @pytest.fixture
    def runner(self):
        return Vitest()

    @pytest.fixture
    def sample(self):
        return VITEST


@pytest.mark.long
@pytest.mark.parametrize(
    ("runner", "sample"),
    [(Jest(), JEST), (GoTest(), GO), (CargoTest(), CARGO), (NodeTest(), NODE)],
    ids=["jest", "go", "cargo", "node"],
)
class TestTheRealOnesThatAreHere(RealRunnerContract):
    """Nothing installs them: what they said when they were recorded stands for them elsewhere."""


@pytest.mark.parametrize(
    ("command", "scripts", "kind"),
    [
        ("npm test", '{"scripts": {"test": "vitest run"}}', Vitest),
        ("npm run unit -- --a", '{"scripts": {"unit": "tsc && yarn test", "test": "jest"}}', Jest),
        ("cd web && pnpm test", '{"scripts": {"test": "vitest"}}', Vitest),
        ("npm test", '{"scripts": {"test": "npm test"}}', type(None)),
        ("npm test", '{"scripts": {"test": "mocha"}}', type(None)),
        ("npm test", "[]", type(None)),
        ("npm run testing", '{"scripts": {"test": "jest"}}', type(None)),
        ("npx jest && pytest", "", Jest),
        ("make test", "", type(None)),
        ("django-admin test", "", type(None)),
    ],
)
def test_a_runner_is_known_by_the_command_or_by_the_script_that_it_runs(command, scripts, kind):
    assert type(ALL.of(command, lambda: scripts)) is kind


def test_a_runner_is_loaded_only_when_its_name_stands_in_the_command():
    loaded = []

    def loads(name):
        return lambda: loaded.append(name) or Pytest()

    runners = Runners({name: loads(name) for name in ("go", "pytest", "vitest")})
    runners.of("cd django && .venv/bin/py.test -q", lambda: pytest.fail("nobody runs a script"))
    assert loaded == ["pytest"]


def test_tests_are_missing_where_none_is_left_and_the_runner_is_content():
    """`go test` says ok of a package whose files of tests have none in them any more."""
    command = "go test ./..."
    was = {"sum.go": "package m\n", "sum_test.go": "package m\n\nfunc TestSum(t *testing.T) {}\n"}
    now = {"sum.go": "package m\n\n// So.\n", "sum_test.go": "package m\n"}
    plan = plan_of(TaskType.REFACTOR, was, now, ProjectSettings(test_command=command))

    def ended(name, *events):
        line = "ok  \tm\t0.002s"
        told = [*events, {"Action": "output", "Output": line}, {"Action": "pass"}]
        text = "\n".join(json.dumps({"Package": "m", **event}) for event in told)
        said = GoTest().read(Ran(None, text, lambda: text))
        return CheckResult(name, command, 0, "exit", 1.0, name, line, said.tests, str(said.output))

    one = {"Action": "pass", "Test": "TestSum"}
    ends = (ended(BASE, one), ended(RESULT), ended(RESULT_BASE_TESTS, one))
    found = {f.code: f for f in judge(TaskType.REFACTOR, plan, ends, changes(was, now))}
    assert found["tests.missing"].severity is Severity.ASK
    assert found["tests.missing"].evidence["missing"] == ["m::TestSum"]
