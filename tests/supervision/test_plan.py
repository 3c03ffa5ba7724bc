"""Which runs a change owes."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.supervision.beside import REPORT
from muster.supervision.checks import plan_checks
from muster.supervision.evidence import Changed
from muster.supervision.runner_python import Pytest

SETTINGS = ProjectSettings(test_command="pytest -q")
CODE = Changed("src/a.py", "modified")
NEW_TEST = Changed("tests/test_new.py", "added")
OLD_TEST = Changed("tests/test_old.py", "modified")
GONE_TEST = Changed("tests/test_gone.py", "deleted")
PROOF = "base+result tests"
KEPT = "result+base tests"


def names(task_type: TaskType, *changed: Changed, **more: object) -> list[str]:
    return [run.name for run in plan_checks(task_type, SETTINGS, changed, **more).runs]


@pytest.mark.parametrize(
    ("task_type", "changed", "runs"),
    [
        (TaskType.FEATURE, [CODE], ["result", "base"]),
        (TaskType.FEATURE, [CODE, NEW_TEST], ["result", "base", KEPT, PROOF]),
        (TaskType.BUG, [CODE, OLD_TEST], ["result", "base", KEPT, PROOF]),
        (TaskType.REFACTOR, [CODE, NEW_TEST], ["result", "base", KEPT]),
        (TaskType.FEATURE, [CODE, GONE_TEST], ["result", "base", KEPT]),
        (TaskType.DOCUMENTATION, [Changed("README.md", "added")], ["result", "base"]),
        (TaskType.FEATURE, [], []),
    ],
)
def test_only_the_runs_that_are_needed_are_planned(
    task_type: TaskType, changed: list[Changed], runs: list[str]
) -> None:
    assert names(task_type, *changed) == runs


def test_a_base_without_tests_is_not_run() -> None:
    assert names(TaskType.FEATURE, CODE, NEW_TEST, base_files=["src/a.py"]) == ["result", PROOF]
    with_tests = ["src/a.py", "tests/test_old.py"]
    assert "base" in names(TaskType.FEATURE, CODE, NEW_TEST, base_files=with_tests)


def test_the_mixed_trees_take_and_drop_exactly_the_changed_tests() -> None:
    moved_in = Changed("tests/helper.py", "renamed", old_path="src/helper.py")
    moved_out = Changed("src/checks.py", "renamed", old_path="tests/test_checks.py")
    changed = (CODE, NEW_TEST, OLD_TEST, GONE_TEST, moved_in, moved_out)
    plan = plan_checks(TaskType.FEATURE, SETTINGS, changed)
    kept, proof = plan.run(KEPT), plan.run(PROOF)
    assert kept is not None
    assert proof is not None
    assert kept.tree == "result"
    assert kept.take == ("tests/test_checks.py", "tests/test_gone.py", "tests/test_old.py")
    assert kept.drop == ("tests/helper.py", "tests/test_new.py")
    assert proof.tree == "base"
    assert proof.take == ("tests/helper.py", "tests/test_new.py", "tests/test_old.py")
    assert proof.drop == ("tests/test_checks.py", "tests/test_gone.py")
    assert plan.deleted_tests == ("tests/test_checks.py", "tests/test_gone.py")


def test_without_a_test_command_only_the_linters_run() -> None:
    settings = ProjectSettings(test_command="  ", lint_command="ruff check", type_command="mypy")
    plan = plan_checks(TaskType.FEATURE, settings, (CODE, NEW_TEST))
    assert plan.test_command is None
    assert [run.name for run in plan.runs] == [
        "lint result",
        "lint base",
        "type result",
        "type base",
    ]


@pytest.mark.parametrize(
    ("command", "path", "asks"),
    [
        ("pytest -q", "pyproject.toml", True),
        ("pytest -q", "setup.cfg", True),
        ("python -m pytest", "pkg/sitecustomize.py", True),
        ("pytest -q", "Makefile", False),
        ("pytest -q", "package.json", False),
        ("make test", "Makefile", True),
        ("make test", "pyproject.toml", True),
        ("npm test", "package.json", True),
        ("npx vitest run", "web/vitest.config.ts", True),
        ("npx jest", "jest.config.js", True),
        ("npx jest", "jest.setup.ts", True),
        ("npm test", "src/setupTests.js", True),
        ("npm test", "__mocks__/axios.js", True),
        ("npm test", "src/setup.js", False),
        ("tox -q", "tox.ini", True),
        ("./scripts/check.sh fast", "scripts/check.sh", True),
        ("sh scripts/check.sh", "scripts/other.sh", False),
        ("go test ./...", "pyproject.toml", False),
        ("cargo test", "Cargo.toml", True),
        ("pytest -q", "conftest.py", False),
    ],
)
def test_configuration_that_the_test_command_reads_is_asked_about(
    command: str, path: str, asks: bool
) -> None:
    settings = replace(SETTINGS, test_command=command)
    plan = plan_checks(TaskType.FEATURE, settings, (CODE, Changed(path, "modified")))
    assert [f.code for f in plan.findings] == (["tests.config_changed"] if asks else [])
    if asks:
        assert plan.findings[0].evidence["paths"] == [path]


@pytest.mark.parametrize(
    ("path", "base", "result", "asks"),
    [
        ("pyproject.toml", "[project]\nname='a'\n", "[project]\nname='b'\n", False),
        ("pyproject.toml", "", "[tool.pytest.ini_options]\naddopts='-k x'\n", True),
        ("pyproject.toml", "[project]\n", "not [ toml", True),
        ("pyproject.toml", "tool = 1\n", "tool = 2\n", True),
        ("pyproject.toml", "", "[project.entry-points.pytest11]\nx='y'\n", True),
        ("setup.cfg", "[metadata]\na=1\n", "[metadata]\na=2\n", False),
        ("setup.cfg", "[metadata]\na=1\n", "[tool:pytest]\naddopts=-x\n", True),
        ("setup.cfg", "", "a line without a section\n", True),
        ("tox.ini", "[testenv]\ncommands=pytest\n", "[testenv]\ncommands=true\n", True),
        ("sitecustomize.py", "", "import os\n", True),
        ("sitecustomize.py", "same", "same", False),
    ],
)
def test_only_the_part_about_tests_counts_when_the_contents_are_known(
    path: str, base: str, result: str, asks: bool
) -> None:
    changed = (CODE, Changed(path, "modified"))
    plan = plan_checks(TaskType.FEATURE, SETTINGS, changed, configs={path: (base, result)})
    assert bool(plan.findings) is asks


def test_the_scripts_of_package_json_count_and_its_dependencies_do_not() -> None:
    settings = replace(SETTINGS, test_command="npm test")
    changed = (Changed("package.json", "modified"),)
    for result, asks in (('{"dependencies": {}}', False), ('{"scripts": {"test": "x"}}', True)):
        configs = {"package.json": ("{}", result)}
        plan = plan_checks(TaskType.CHORE, settings, changed, configs=configs)
        assert bool(plan.findings) is asks


@pytest.mark.parametrize(
    ("command", "by_pytest"),
    [
        ("pytest", True),
        ("python3 -m pytest -q", True),
        (".venv/bin/pytest -x", True),
        ("uv run pytest", True),
        ("py.test", True),
        ("pytest a && pytest b", False),
        ("pytest --junitxml=own.xml", False),
        ("pytest -p no:junitxml", False),
        ("make test", False),
        ("python run.py --runner=pytest", False),
        ("npx jest -c pytest.config", False),
    ],
)
def test_pytest_is_told_to_write_a_report_when_it_visibly_runs_once(
    command: str, by_pytest: bool
) -> None:
    told = Pytest().telling(command)
    assert (told is not None) is by_pytest
    if told is not None:
        assert told[0] == command
        options = shlex.split(told[1].env["PYTEST_ADDOPTS"].replace(REPORT, "'/a dir/report.xml'"))
        assert "--junitxml=/a dir/report.xml" in options
    settings = replace(SETTINGS, test_command=command)
    plan = plan_checks(TaskType.CHORE, settings, (CODE,), runner=Pytest())
    assert plan.report_expected is by_pytest


PATHS = st.sampled_from(["src/a.py", "tests/a.py", "test_b.py", "conftest.py", "pyproject.toml"])
CHANGED = st.builds(
    Changed,
    PATHS,
    st.sampled_from(["added", "modified", "deleted", "renamed"]),
    old_path=st.none() | PATHS,
)


@given(st.sampled_from(TaskType), st.lists(CHANGED, max_size=5, unique_by=lambda c: c.path))
def test_mixed_trees_never_touch_what_is_not_a_test(
    task_type: TaskType, changed: list[Changed]
) -> None:
    plan = plan_checks(task_type, SETTINGS, tuple(changed))
    for run in plan.runs:
        assert not {"src/a.py", "pyproject.toml"} & {*run.take, *run.drop}
        assert not {*run.take} & {*run.drop}
