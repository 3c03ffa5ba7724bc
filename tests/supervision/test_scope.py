"""A change is measured against its task: its size, and the files that its plan named."""

from __future__ import annotations

import pytest

from muster.domain.task import TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.evidence import Changed
from muster.supervision.scope import judge_scope

TESTS = ("tests/", "test_*.py")


def changed(path: str, added: int = 1, old: str | None = None) -> Changed:
    return Changed(path, "renamed" if old else "modified", added, 0, old)


def judged(
    *changes: Changed, type_: TaskType = TaskType.BUG, planned: tuple[str, ...] = ()
) -> dict[str, Finding]:
    return {f.code: f for f in judge_scope(type_, changes, planned, TESTS)}


def test_a_small_change_that_nobody_planned_is_not_spoken_of():
    assert judged(changed("a.py", 300)) == {}


@pytest.mark.parametrize(
    ("changes", "type_"),
    [
        ([changed("a.py", 301)], TaskType.BUG),
        ([changed(f"{n}.py") for n in range(16)], TaskType.BUG),
        ([changed("a.py", 1501)], TaskType.FEATURE),
    ],
)
def test_a_change_that_is_large_for_its_type_is_noted(changes: list[Changed], type_: TaskType):
    found = judged(*changes, type_=type_)
    assert found["size.large"].severity is Severity.NOTE
    assert f"large for a {type_}" in found["size.large"].text


def test_tests_and_what_programs_write_count_for_nothing():
    long = [changed(path, 9000) for path in ("tests/a.py", "test_b.py", "web/package-lock.json")]
    assert judged(*long, planned=("a.py",)) == {}


def test_files_that_the_plan_did_not_name_are_noted_and_those_in_its_folders_are_not():
    found = judged(
        changed("src/app/a.py"),
        changed("odd.py"),
        changed("README"),
        planned=("src/app/", "README"),
    )
    finding = found["files.outside_plan"]
    assert finding.severity is Severity.NOTE
    assert finding.evidence["paths"] == ["odd.py"]


def test_where_nothing_that_the_plan_names_was_touched_that_is_said():
    finding = judged(changed("b.py"), planned=("a.py",))["files.outside_plan"]
    assert finding.severity is Severity.NOTE  # a plan's files are a guess
    assert finding.text.endswith("No file that it names was touched.")


def test_a_file_that_was_moved_out_of_the_plans_folder_is_told_by_its_new_path():
    found = judged(changed("lib/a.py", old="src/a.py"), planned=("src/",))
    assert found["files.outside_plan"].evidence["paths"] == ["lib/a.py"]


def test_a_name_of_a_stranger_is_shown_in_one_line():
    found = judged(changed("a\x1b[31m\n.py"), planned=("x.py",))
    assert "\x1b" not in found["files.outside_plan"].text
    assert "\n" not in found["files.outside_plan"].text
