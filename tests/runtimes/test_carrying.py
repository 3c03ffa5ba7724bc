"""A folder carried to another machine and back: what a repository inside it may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import run_git
from muster.runtimes.carrying import BACK, SENT, Carrier


def _plant(folder: Path) -> None:
    """A repository without a commit, made by hand."""
    for name in ("objects", "refs"):
        (folder / ".git" / name).mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "own").write_text("its own\n")


def _with_a_commit(folder: Path) -> None:
    folder.mkdir(parents=True)
    run_git(folder, "init", "--quiet")
    (folder / "own").write_text("its own\n")
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--message", "Nested")


@pytest.mark.parametrize("make", [_plant, _with_a_commit])
@pytest.mark.parametrize("name", ["nested", "deep/er", "line\nend", "*"])
def test_a_nested_repository_is_told_and_stops_nothing(tmp_path, make, name):
    here, there = (
        Carrier(tmp_path / "here", tmp_path / "a"),
        Carrier(tmp_path / "there", tmp_path / "b"),
    )
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").write_text("one\n")
    sent, pack = here.pack(SENT)
    there.unpack(sent, pack, SENT)
    (tmp_path / "there" / "file").write_text("two\n")
    (tmp_path / "there" / "more").write_text("more\n")
    make(tmp_path / "there" / name)
    for _ in range(2):  # as after a crash
        back, pack = there.pack(BACK, since=sent)
        here.unpack(back, pack, BACK)
    assert (tmp_path / "here" / "file").read_text() == "two\n"
    assert (tmp_path / "here" / "more").read_text() == "more\n"
    assert not (tmp_path / "here" / name / "own").exists()
    assert (tmp_path / "here" / name / ".git" / "HEAD").exists()


def test_what_was_planted_in_a_folder_of_the_project_hides_none_of_its_files(tmp_path):
    here, there = (
        Carrier(tmp_path / "here", tmp_path / "a"),
        Carrier(tmp_path / "there", tmp_path / "b"),
    )
    (tmp_path / "here/src").mkdir(parents=True)
    (tmp_path / "here/src/file").write_text("one\n")
    sent, pack = here.pack(SENT)
    there.unpack(sent, pack, SENT)
    _plant(tmp_path / "there/src")
    (tmp_path / "there/src/file").write_text("two\n")
    back, pack = there.pack(BACK, since=sent)
    here.unpack(back, pack, BACK)
    assert (tmp_path / "here/src/file").read_text() == "two\n"
    assert (tmp_path / "here/src/own").read_text() == "its own\n"
