"""Whatever was done to a workspace: what was kept of it at a moment comes back byte for byte."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import LONG

NAMES = st.sampled_from(["a", "a.b", "A", "lib", "lib.py", "x y", "ünï", "-x", "line\nend", "*?"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
BYTES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"text\n", b"crlf\r\n", b"\x00\xff", b"x" * 70_000]),
)
ACTS = st.one_of(
    st.tuples(st.just("write"), PATHS, BYTES),
    st.tuples(st.just("program"), PATHS, BYTES),
    st.tuples(st.just("link"), PATHS, st.sampled_from(["a", "/etc/passwd", "nowhere", "."])),
    st.tuples(st.just("remove"), PATHS, st.just("")),
    st.tuples(st.just("flip"), PATHS, st.just("")),
)
SEQUENCES = st.lists(st.lists(ACTS, max_size=6), min_size=1, max_size=4)
EXAMPLES = 200 if LONG else 30


def act(tree: Path, kind: str, path: str, what: bytes | str) -> None:
    """One thing that an agent may do to a file; where it cannot be, nothing."""
    at = tree / path
    above = [each for each in at.parents if each != tree and each.is_relative_to(tree)]
    if any(each.is_symlink() or each.is_file() for each in above):
        return
    is_folder = at.is_dir() and not at.is_symlink()
    if kind == "flip":
        if at.is_file() and not at.is_symlink():
            at.chmod(0o644 if at.stat().st_mode & 0o100 else 0o755)
        return
    if is_folder:
        shutil.rmtree(at)
    at.unlink(missing_ok=True)
    if kind == "remove":
        return
    at.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        at.symlink_to(str(what))
        return
    at.write_bytes(bytes(what))
    at.chmod(0o755 if kind == "program" else 0o644)


def seen(tree: Path) -> dict[str, tuple[str, bytes]]:
    """Every file below a folder: its kind, and all that is in it."""
    found = {}
    for at in tree.rglob("*"):
        name = str(at.relative_to(tree))
        if name.split("/")[0] == ".git" or (at.is_dir() and not at.is_symlink()):
            continue
        if at.is_symlink():
            found[name] = ("link", str(at.readlink()).encode())
        else:
            kind = "program" if at.stat().st_mode & 0o100 else "file"
            found[name] = (kind, at.read_bytes())
    return found


@pytest.fixture
def workspaces(make_workspaces, backend):
    """Those that move on by what differs; that git moves on the same way is seen in `test_step`."""
    return make_workspaces(backend, **({} if backend == "clone" else {"huge_index": 0}))


def test_any_moment_of_any_work_comes_back_as_it_was(project):
    numbers = itertools.count()

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(SEQUENCES, st.integers(0, 3))
    def comes_back(steps, which) -> None:
        n = next(numbers)
        work = project.open(f"work-{n}")
        moments = [(project.commit, seen(work.tree))]
        for acts in steps:
            for one in acts:
                act(work.tree, *one)
            commit = project.snapshot(work) or project.commit
            moments.append((commit, seen(work.tree)))
        commit, was = moments[which % len(moments)]
        fork = project.workspaces.open(f"fork-{n}", "prj_1", commit, near=project.commit)
        try:
            assert seen(fork.tree) == was
            (fork.tree / "only here").write_text("x")
            assert seen(work.tree) == moments[-1][1]
        finally:
            project.workspaces.discard(fork)
            project.workspaces.discard(work)

    comes_back()
