"""A large tree moved on to another commit by what differs: as git would have moved it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import LONG
from muster.domain.errors import GitFailed
from muster.workspace.base import Source
from muster.workspace.checkout import INDEX, Bases, check_out
from muster.workspace.entries import Index
from muster.workspace.git import Git, Place
from muster.workspace.look import as_input
from muster.workspace.step import Steps
from workspace.dying import die
from workspace.test_points import ACTS, act, seen

EXAMPLES = 200 if LONG else 8
MANY = {f"src/part{n % 3}/module_{n}.py": f"n = {n}\n" for n in range(140)}
"""More entries than lie between two marks."""


class Bench:
    """A repository whose commits are made of files, and trees that are at one of them."""

    def __init__(self, folder: Path, object_format: str = "sha1") -> None:
        self.folder, self.git = folder, Git()
        self.mirror, self.files = folder / "mirror.git", folder / "files"
        self._numbers = itertools.count()
        kind = f"--object-format={object_format}"
        self.git.run(Place(self.mirror), "init", "--quiet", "--bare", kind)
        for path, text in MANY.items():
            (self.files / path).parent.mkdir(parents=True, exist_ok=True)
            (self.files / path).write_text(text)

    def commit(self) -> str:
        place = Place(self.mirror, self.files, self.folder / "index", env=PERSON)
        found = [p for p in self.files.rglob("*") if p.is_symlink() or not p.is_dir()]
        files = [str(path.relative_to(self.files)) for path in found]
        (self.folder / "index").unlink(missing_ok=True)
        self.git.run(place, "update-index", "--add", "-z", "--stdin", stdin=as_input(files))
        tree = self.git.run(place, "write-tree").decode().strip()
        return self.git.run(place, "commit-tree", "-m", "A", tree).decode().strip()

    def at(self, commit: str) -> Place:
        """A tree that stands at a commit."""
        root = self.folder / f"at-{next(self._numbers)}"
        root.mkdir()
        check_out(self.git, self.mirror, commit, root / "tree", root / INDEX)
        place = Place(self.mirror, root / "tree", root / INDEX)
        Bases(self.git)._date_back(place)
        return place

    def step(self, place: Place, start: str, commit: str) -> bool:
        source = Source("prj_1", self.mirror, self.folder / "bases")
        return Steps(self.git).take(source, place, start, commit)

    def said(self, place: Place, *args: str) -> str:
        return os.fsdecode(self.git.run(place, *args))


PERSON = {
    **{f"GIT_{who}_NAME": "P" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "p@example.org" for who in ("AUTHOR", "COMMITTER")},
}


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def same_as_git(bench: Bench, start: str, commit: str) -> None:
    """Step from one commit to another, and let git move another tree the same way."""
    mine, gits = bench.at(start), bench.at(start)
    try:
        assert bench.step(mine, start, commit)
        bench.git.run(gits, "read-tree", "-m", "-u", start, commit)
        assert seen(mine.work_tree) == seen(gits.work_tree)
        folders = [
            sorted(str(p.relative_to(at)) for p in at.rglob("*") if p.is_dir())
            for at in (mine.work_tree, gits.work_tree)
        ]
        assert folders[0] == folders[1]
        assert bench.said(mine, "ls-files", "-s", "-z") == bench.said(gits, "ls-files", "-s", "-z")
        # git takes every file for unchanged without reading it, and knows the tree of all.
        assert bench.said(mine, "diff-files", "--name-only") == ""
        assert bench.said(mine, "diff-index", "--cached", commit) == ""
        assert bench.said(mine, "write-tree") == bench.said(gits, "write-tree")
        bench.git.run(mine, "fsck", "--no-dangling", "--strict", "--cache")
    finally:
        for place in (mine, gits):
            shutil.rmtree(place.index.parent)


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_any_change_gives_the_files_and_the_index_that_git_would_make(tmp_path, object_format):
    bench = Bench(tmp_path, object_format)
    changes = st.lists(ACTS, max_size=8)

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(changes, changes)
    def same(before, after) -> None:
        for one in before:
            act(bench.files, *one)
        start = bench.commit()
        for one in after:
            act(bench.files, *one)
        same_as_git(bench, start, bench.commit())

    same()


def test_changes_at_both_ends_of_every_part_of_the_index(bench):
    start = bench.commit()
    names = sorted(MANY)
    for number in (0, 1, 63, 64, 65, 127, 128, 138, 139):
        at = bench.files / names[number]
        at.write_text("changed\n")
        at.with_name(f"{at.name}.new").write_text("new\n")
    for number in (62, 129, 137):
        (bench.files / names[number]).unlink()
    (bench.files / "aaa").write_text("the first\n")
    (bench.files / "zzz").write_text("the last\n")
    same_as_git(bench, start, bench.commit())


def test_a_file_that_git_converts_is_written_as_git_writes_it(bench):
    (bench.files / ".gitattributes").write_text("*.txt text eol=crlf\n")
    (bench.files / "a.txt").write_text("one\n")
    start = bench.commit()
    (bench.files / "a.txt").write_text("two\n")
    (bench.files / "sub").mkdir()
    (bench.files / "sub/.gitattributes").write_text("*.x text eol=crlf\n")
    (bench.files / "sub/b.x").write_text("three\n")
    commit = bench.commit()
    same_as_git(bench, start, commit)
    place = bench.at(start)
    assert bench.step(place, start, commit)
    assert (place.work_tree / "a.txt").read_bytes() == b"two\r\n"
    assert (place.work_tree / "sub/b.x").read_bytes() == b"three\r\n"


def test_what_another_has_written_meanwhile_is_not_lost(bench):
    start = bench.commit()
    (bench.files / "src/part1/module_1.py").unlink()
    (bench.files / "new.py").write_text("theirs\n")
    commit = bench.commit()
    changed = bench.at(start)
    (changed.work_tree / "src/part1/module_1.py").write_text("mine\n")
    before = changed.index.read_bytes()
    assert not bench.step(changed, start, commit)
    assert not (changed.work_tree / "new.py").exists()
    assert changed.index.read_bytes() == before
    in_the_way = bench.at(start)
    (in_the_way.work_tree / "new.py").write_text("mine\n")
    with pytest.raises(GitFailed, match="already exists"):
        bench.step(in_the_way, start, commit)
    assert (in_the_way.work_tree / "new.py").read_text() == "mine\n"


def test_nothing_behind_a_link_is_touched(bench, tmp_path):
    start = bench.commit()
    shutil.rmtree(bench.files / "src/part1")
    commit = bench.commit()
    place = bench.at(start)
    outside = tmp_path / "outside"
    (place.work_tree / "src/part1").rename(outside)
    (place.work_tree / "src/part1").symlink_to(outside)
    assert not bench.step(place, start, commit)
    assert len(list(outside.iterdir())) > 40


@pytest.mark.parametrize("how", ["version 4", "split", "an extension that must be known"])
def test_an_index_in_another_form_is_left_to_git(bench, how):
    start = bench.commit()
    (bench.files / "new.py").write_text("new\n")
    commit = bench.commit()
    place = bench.at(start)
    if how == "version 4":
        bench.git.run(place, "update-index", "--index-version=4")
    elif how == "split":
        bench.git.run(place, "update-index", "--split-index")
    else:
        data = place.index.read_bytes()
        place.index.write_bytes(data[:-20] + b"must\0\0\0\0" + data[-20:])
    assert not bench.step(place, start, commit)
    assert not (place.work_tree / "new.py").exists()


def test_a_repository_in_the_tree_is_left_to_git(bench):
    start = bench.commit()
    place = Place(bench.mirror, bench.files, bench.folder / "index", env=PERSON)
    link = f"160000,{start},vendor/lib"
    bench.git.run(place, "update-index", "--add", "--cacheinfo", link)
    tree = bench.said(place, "write-tree").strip()
    commit = bench.said(place, "commit-tree", "-m", "A", tree).strip()
    assert not bench.step(bench.at(start), start, commit)
    assert not bench.step(bench.at(commit), commit, start)


def test_what_git_noted_to_be_faster_is_used_or_left_out(bench):
    start = bench.commit()
    (bench.files / "src/part2/module_2.py").write_text("changed\n")
    commit = bench.commit()
    place = bench.at(start)
    for word in ("--untracked-cache", "--fsmonitor"):
        bench.git.ask(place, "update-index", word)
    assert bench.step(place, start, commit)
    index = Index(place.index.read_bytes(), commit)
    notes = index.notes(index.marks(), [])
    assert b"part2\0-1 0\n" in notes
    assert b"part0\x0047 0\n" in notes
    assert b"UNTR" not in place.index.read_bytes()


@pytest.mark.needs_overlay
def test_a_fork_of_a_large_repository_is_clean_for_its_agent_and_for_muster(
    make_project, make_workspaces
):
    project = make_project(make_workspaces("overlay", huge_index=0), files=MANY)
    first = project.open("first")
    (first.tree / "src/part0/module_0.py").write_text("n = 7\n")
    (first.tree / "src/part0/module_0.py").chmod(0o755)
    (first.tree / "src/part1/module_1.py").unlink()
    (first.tree / "untracked").write_text("new\n")
    commit = project.snapshot(first)
    fork = project.open("fork", commit, near=project.commit)
    assert seen(fork.tree) == seen(first.tree)
    assert project.git(fork.tree, "status", "--porcelain") == ""
    assert project.snapshot(fork, commit) is None
    # A rewrite of the same size at once is seen by both.
    (fork.tree / "src/part0/module_0.py").write_text("n = 8\n")
    assert project.git(fork.tree, "status", "--porcelain") == "M src/part0/module_0.py"
    project.git(fork.tree, "commit", "--quiet", "--all", "--message", "By the agent")
    assert project.git(fork.tree, "rev-parse", "HEAD^") == commit
    assert project.git(fork.tree, "fsck", "--no-dangling") == ""
    again = project.files(project.snapshot(fork, commit))
    assert again["src/part0/module_0.py"] == "100755 n = 8\n"
    assert seen(first.tree)["src/part0/module_0.py"] == ("program", b"n = 7\n")


@pytest.mark.needs_overlay
@pytest.mark.usefixtures("mortal")
@pytest.mark.parametrize("what", ["git", "write"])
def test_a_fork_of_a_large_repository_is_completed_after_any_death(
    make_project, make_workspaces, home, what
):
    sizes = {"huge_index": 0}
    project = make_project(make_workspaces("overlay", **sizes), files=MANY)
    commit = project.work({"new": "1\n", "src/part1/module_1.py": None})
    for number in itertools.count(1):
        died = die(
            home, "overlay", "open", f"w{number}", commit, project.commit,
            **{what: number, "sizes": sizes},
        )  # fmt: skip
        ws = project.open(f"w{number}", commit, near=project.commit, ports=5)
        assert (ws.tree / "new").read_text() == "1\n"
        assert not (ws.tree / "src/part1/module_1.py").exists()
        assert project.git(ws.tree, "status", "--porcelain") == ""
        assert project.snapshot(ws, commit) is None
        assert project.workspaces.close(ws) is None
        if not died:
            break
    assert number > 3
    assert subprocess.run(["ls", home / "spaces"], capture_output=True).stdout == b""
