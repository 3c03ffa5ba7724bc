"""What is worked out of one answer of git's is what git says when asked for each."""

from __future__ import annotations

import os

import pytest

from muster.workspace import compare
from muster.workspace.difference import difference, differing, gitlinks, listing
from workspace.project import REPO, Project

LINK = "1" * 40


@pytest.fixture
def change(sample, git) -> tuple[Project, str, str]:
    """Two commits that differ in every way that git knows."""
    folder = sample.folder
    (folder / "will-be-renamed").write_text("".join(f"{n}\n" for n in range(50)))
    (folder / "line\nend").write_text("diff --git a/x b/x\n")
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "becomes-link").write_text("text\n")
    (folder / "a").mkdir()
    (folder / "a/b").write_text("folder\n")
    (folder / "a.txt").write_text("beside\n")
    git(folder, "add", "--all")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{LINK},sub/old")
    git(folder, "commit", "--quiet", "--message", "Before")
    base = git(folder, "rev-parse", "HEAD")
    git(folder, "rm", "--quiet", "--cached", "sub/old")
    git(folder, "mv", "will-be-renamed", "renamed")
    (folder / "line\nend").write_text("diff --git a/x b/x\nmore \0 of it\n")
    (folder / "binary").write_bytes(bytes(range(255)))
    (folder / "becomes-link").unlink()
    (folder / "becomes-link").symlink_to("binary")
    (folder / "a/b").unlink()
    (folder / "a").rmdir()
    (folder / "a").write_text("a file\n")
    (folder / "ünï").write_text("new\n")
    (folder / "a.txt").chmod(0o755)
    git(folder, "add", "--all")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{LINK},sub/new")
    git(folder, "commit", "--quiet", "--message", "After")
    return sample, base, sample.workspaces.mirror(REPO).fetch(sample.git_dir, "main")


def asked(project: Project, *args: str) -> bytes:
    mirror = project.workspaces.mirror(REPO)
    return mirror.git.run(mirror.place, *args)


def test_entries_changes_and_patch_are_gits(change):
    project, base, head = change
    found = difference(project.workspaces.mirror(REPO), base, head)
    raw = asked(
        project, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", base, head
    )
    fields = os.fsdecode(raw).split("\0")[:-1]
    told = {
        path: tuple(how[1:].split(" ")[:4])
        for how, path in zip(fields[::2], fields[1::2], strict=True)
    }
    mine = {e.path: (e.old_mode, e.new_mode, e.old, e.new) for e in found.entries}
    assert mine == told
    assert found.patch == asked(project, "diff-tree", "-r", "-M", "-p", base, head)
    stat = asked(project, "diff-tree", "-r", "-M", "--numstat", base, head)
    assert len(found.changes) == len(stat.splitlines())
    renamed = {c.path: c.old_path for c in found.changes if c.status == "renamed"}
    assert renamed == {"renamed": "will-be-renamed", "sub/new": "sub/old"}
    assert set(compare.patches(project.workspaces.mirror(REPO), base, head, 10_000)) == {
        c.path for c in found.changes
    }


def test_the_way_back_needs_no_process(change):
    project, base, head = change
    mirror = project.workspaces.mirror(REPO)
    there = differing(mirror, base, head)
    before = mirror.git.started
    back = differing(mirror, head, base)
    assert mirror.git.started == before
    assert tuple(entry.turned() for entry in back) == there


def test_a_listing_that_is_worked_out_is_gits(change):
    project, base, head = change
    mirror = project.workspaces.mirror(REPO)
    assert listing(mirror, base) == asked(project, "ls-tree", "-r", "-z", base)
    difference(mirror, base, head)
    before = mirror.git.started
    derived = listing(mirror, head, near=base)
    assert mirror.git.started == before
    assert derived == asked(project, "ls-tree", "-r", "-z", head)
    assert gitlinks(mirror, head) == ("sub/new",)
    assert gitlinks(mirror, base) == ("sub/old",)


@pytest.mark.parametrize("asked_before", [False, True])
def test_repositories_in_a_large_tree_are_those_of_the_near_commit_and_what_differs(
    change, asked_before
):
    project, base, head = change
    mirror = project.workspaces.mirror(REPO)
    assert gitlinks(mirror, base) == ("sub/old",)
    if asked_before:
        difference(mirror, base, head)
    before = mirror.git.started
    assert gitlinks(mirror, head, base, large=0) == ("sub/new",)
    # What differs is quickly told; a listing of all would take as long as all is large.
    assert mirror.git.started - before == int(not asked_before)
    assert ("listing", mirror.tree_of(head)) not in mirror.kept


def test_what_is_kept_has_an_end(sample):
    kept = sample.workspaces.mirror(REPO).kept
    kept.clear()
    big = b"x" * (20 * 1024 * 1024)
    assert kept.get("one", lambda: big) is big
    assert kept.get("two", lambda: big) is big
    assert "one" not in kept
    assert "two" in kept
    assert kept.get("huge", lambda: big + big) == big + big
    assert "huge" not in kept
