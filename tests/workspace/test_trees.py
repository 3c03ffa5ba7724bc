"""Trees that muster writes itself are those that git's index would become."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.workspace.checkout import INDEX
from muster.workspace.control import State
from muster.workspace.git import Git, Place
from muster.workspace.look import as_input, look
from muster.workspace.mirror import Mirror
from muster.workspace.trees import edited_tree

LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
NAMES = st.sampled_from(["a", "a.b", "a-", "a0", "A", "b", "lib", "lib.py", "x y", "Z=(1)"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from(["text", "empty", "program", "link", "dangling"])
TREES = st.dictionaries(PATHS, st.tuples(KINDS, st.integers(0, 3)), max_size=8)


class Bench:
    """A mirror, and a folder that is filled with one tree and then with another."""

    def __init__(self, folder: Path, object_format: str = "sha1") -> None:
        self.git, self.tree = Git(), folder / "tree"
        self.mirror, self.index = Mirror(folder / "mirror.git", self.git), folder / INDEX
        self.tree.mkdir()
        self.git.run(
            Place(self.mirror.path), "init", "--quiet", "--bare", f"--object-format={object_format}"
        )

    def fill(self, files: dict[str, tuple[str, int]]) -> None:
        shutil.rmtree(self.tree)
        self.tree.mkdir()
        for path, (kind, number) in files.items():
            at = self.tree / path
            if any(above.is_file() or above.is_symlink() for above in at.parents) or at.exists():
                continue  # another file is where its folder would be
            at.parent.mkdir(parents=True, exist_ok=True)
            if kind in {"link", "dangling"}:
                at.symlink_to("b" if kind == "link" else f"nowhere/{number}")
            else:
                at.write_text("" if kind == "empty" else f"{kind} {number}\n")
            if kind == "program":
                at.chmod(0o755)

    def indexed(self) -> str:
        """What git makes of the files."""
        self.index.unlink(missing_ok=True)
        place = Place(self.mirror.path, self.tree, self.index)
        names = [str(p.relative_to(self.tree)) for p in self.tree.rglob("*")]
        files = [n for n in names if not (self.tree / n).is_dir() or (self.tree / n).is_symlink()]
        self.git.run(place, "update-index", "--add", "-z", "--stdin", stdin=as_input(files))
        return self.git.run(place, "write-tree").decode().strip()

    def edited(self, base: str) -> str | None:
        place = Place(self.mirror.path, self.tree, self.index)
        found = look(self.git, place, State("0" * 40, None, base), None)
        return edited_tree(self.mirror, base, self.tree, self.index, found.present, found.gone)


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_any_change_of_any_tree_gives_the_tree_that_git_would_write(tmp_path, object_format):
    bench = Bench(tmp_path, object_format)
    # A file without a time of its own is always read by git.
    bench.git.run(Place(bench.mirror.path), "config", "core.checkStat", "default")

    @settings(max_examples=500 if LONG else 25, deadline=None)
    @given(TREES, TREES)
    def same(before, after) -> None:
        bench.fill(before)
        base = bench.indexed()
        bench.fill(after)
        mine = bench.edited(base)
        assert mine == bench.indexed()
        bench.mirror.git.run(bench.mirror.place, "fsck", "--strict", "--no-dangling", mine)

    try:
        same()
    finally:
        bench.mirror.rest()


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.mirror.rest()


def write(bench: Bench, path: str, data: bytes) -> None:
    (bench.tree / path).parent.mkdir(parents=True, exist_ok=True)
    (bench.tree / path).write_bytes(data)


@pytest.mark.parametrize(
    "path", ["git~1", ".gitmodules", "a\\b", "x:y", ".GIT", "d/.gitignore", "tab\there", "ü"]
)
def test_a_name_that_some_git_refuses_or_reads_is_left_to_git(bench, path):
    base = bench.indexed()
    write(bench, "plain", b"1")
    assert edited_tree(bench.mirror, base, bench.tree, bench.index, ["plain"], []) is not None
    assert edited_tree(bench.mirror, base, bench.tree, bench.index, ["plain", path], []) is None
    assert edited_tree(bench.mirror, base, bench.tree, bench.index, ["plain"], [path]) is None


@pytest.mark.parametrize("where", [".gitattributes", "lib/.gitattributes"])
def test_what_attributes_may_convert_is_left_to_git(bench, where):
    base = bench.indexed()
    write(bench, "lib/new.txt", b"1\r\n")
    present = ["lib/new.txt"]
    assert edited_tree(bench.mirror, base, bench.tree, bench.index, present, []) is not None
    write(bench, where, b"* text=auto\n")
    # Read by git also when it is ignored, and so in no index.
    assert edited_tree(bench.mirror, base, bench.tree, bench.index, present, []) is None
    base = bench.indexed()
    (bench.tree / where).unlink()
    # Read by git from the index when the file is gone.
    assert edited_tree(bench.mirror, base, bench.tree, bench.index, present, []) is None


def test_large_files_many_paths_and_what_is_no_file_are_left_to_git(bench):
    base = bench.indexed()
    write(bench, "large", bytes(1024 * 1024 + 1))
    os.mkfifo(bench.tree / "pipe")
    many = [f"f{n}" for n in range(33)]
    for path in many:
        write(bench, path, b"1")
    for present in (["large"], ["pipe"], many, ["not there"]):
        assert edited_tree(bench.mirror, base, bench.tree, bench.index, present, []) is None
    assert edited_tree(bench.mirror, base, bench.tree, bench.index, many[:32], []) is not None


def test_nothing_behind_a_link_is_read(bench, tmp_path):
    base = bench.indexed()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s\n")
    (bench.tree / "lib").symlink_to(tmp_path / "outside")
    assert edited_tree(bench.mirror, base, bench.tree, bench.index, ["lib/secret"], []) is None
