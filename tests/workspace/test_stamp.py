"""A workspace that nobody changed since its snapshot is closed without asking git again."""

from __future__ import annotations

import os
import time

import pytest

from muster.workspace.stamp import stamp
from workspace.project import Project


@pytest.fixture
def project(make_project, make_workspaces) -> Project:
    """Overlays tell what was touched."""
    return make_project(make_workspaces("overlay"))


pytestmark = pytest.mark.needs_overlay


def pause() -> None:
    """Longer than the kernel's clock for files stands still."""
    time.sleep(0.06)


def worked(project, id: str = "w"):
    ws = project.open(id)
    (ws.tree / "a").write_text("1\n")
    (ws.tree / "new").mkdir()
    (ws.tree / "new/b").write_text("2\n")
    (ws.tree / "README.md").unlink()
    pause()
    assert project.snapshot(ws)
    return ws


def test_nothing_is_asked_when_nothing_changed(project):
    ws = worked(project)
    before = project.workspaces.git.started
    assert project.workspaces.close(ws) is None
    assert project.workspaces.git.started == before


def same_size_same_time(ws):
    path = ws.tree / "new/b"
    kept = path.stat()
    path.write_text("3\n")
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


CHANGES = {
    "a file": lambda ws: (ws.tree / "a").write_text("more\n"),
    "same size, same time": same_size_same_time,
    "deeper": lambda ws: (ws.tree / "new/c").write_text("c\n"),
    "gone": lambda ws: (ws.tree / "new/b").unlink(),
    "back": lambda ws: (ws.tree / "README.md").write_text("again\n"),
    "mode": lambda ws: (ws.tree / "a").chmod(0o755),
    "untouched before": lambda ws: (ws.tree / "sums.py").write_text("x\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changed_after_the_snapshot_is_rescued(project, change):
    ws = worked(project)
    change(ws)
    pause()
    rescued = project.workspaces.close(ws)
    assert rescued
    assert project.git_in_mirror("rev-parse", f"refs/muster/rescue/{ws.id}") == rescued


def test_what_a_snapshot_left_out_is_rescued(make_project, make_workspaces):
    project = make_project(make_workspaces("overlay"), files={".aider.conf": "old\n", "a": "a\n"})
    ws = project.open()
    (ws.tree / ".aider.conf").write_text("new\n")
    pause()
    assert project.snapshot(ws, exclude=(".aider*",)) is None
    rescued = project.workspaces.close(ws)
    assert project.files(rescued)[".aider.conf"] == "100644 new\n"


def test_work_that_was_taken_back_to_the_base_is_rescued(project):
    work = project.work({"a": "1\n"})
    ws = project.open("again", work)
    (ws.tree / "a").unlink()
    pause()
    assert project.snapshot(ws, project.commit) is None
    rescued = project.workspaces.close(ws)
    assert "a" not in project.files(rescued)


def test_a_stamp_too_fresh_or_of_too_much_says_nothing(tmp_path):
    (tmp_path / "a").write_text("a\n")
    assert stamp(tmp_path, ["a"]) is None
    assert stamp(tmp_path, None) is None
    for n in range(2100):
        (tmp_path / f"f{n}").touch()
    pause()
    assert stamp(tmp_path, ["a"])
    assert stamp(tmp_path, ["."]) is None
