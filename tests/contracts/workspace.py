"""What every workspace backend must keep: the commit's files, apart from all others, and gone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from muster.workspace.base import Backend, Source
from muster.workspace.checkout import INDEX
from muster.workspace.git import Git, Place
from muster.workspace.mirror import Mirror
from muster.workspace.remove import Identity

FILES = {
    "a.txt": "one\n",
    "run.sh": "#!/bin/sh\necho ran\n",
    "src/deep/er/b.py": "B = 1\n",
    "name with space.txt": "space\n",
    "línea\nnueva.txt": "unicode and a line end\n",
}


class WorkspaceContract:
    """Derive from this, and give a `backend` fixture."""

    @pytest.fixture
    def repo(self, git_repo, git) -> Path:
        folder = git_repo("user's repo", files=FILES)
        (folder / "run.sh").chmod(0o755)
        (folder / "link").symlink_to("../../etc/hostname")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "Modes and links")
        return folder

    @pytest.fixture
    def source(self, repo, home) -> Source:
        mirror = Mirror(home / "repos" / "mirror.git")
        mirror.fetch(repo / ".git", "main")
        return Source("prj_1", mirror.path, home / "repos" / "bases")

    @pytest.fixture
    def commit(self, repo, git) -> str:
        return git(repo, "rev-parse", "HEAD")

    @pytest.fixture
    def make_root(self, home):
        def make(name: str = "one") -> Path:
            root = home / "spaces" / name
            root.mkdir(parents=True)
            return root

        return make

    def test_it_can_be_used_here(self, backend: Backend, home):
        assert backend.available(home) == ""

    def test_the_tree_holds_the_commit_with_modes_and_links(
        self, backend, source, commit, make_root
    ):
        tree = backend.open(source, make_root(), commit)
        assert {name: (tree / name).read_text() for name in FILES} == FILES
        assert os.access(tree / "run.sh", os.X_OK)
        assert not os.access(tree / "a.txt", os.X_OK)
        assert str((tree / "link").readlink()) == "../../etc/hostname"
        assert subprocess.check_output([tree / "run.sh"], text=True) == "ran\n"

    def test_its_index_describes_the_tree(self, backend, source, commit, make_root):
        root = make_root()
        tree = backend.open(source, root, commit)
        place = Place(source.mirror, tree, root / "control" / INDEX)
        assert Git().run(place, "ls-files", "-m", "-d", "-o") == b""
        assert Git().run(place, "write-tree").decode().strip() == (
            Mirror(source.mirror).tree_of(commit)
        )

    def test_getting_ready_changes_nothing_and_may_be_done_again(
        self, backend, source, commit, make_root
    ):
        backend.ready(source, commit)
        backend.ready(source, commit)
        tree = backend.open(source, make_root(), commit)
        assert {name: (tree / name).read_text() for name in FILES} == FILES

    def test_what_is_written_in_one_is_seen_in_no_other(self, backend, source, commit, make_root):
        first = backend.open(source, make_root("first"), commit)
        second = backend.open(source, make_root("second"), commit)
        with (first / "a.txt").open("a") as file:
            file.write("more\n")
        (first / "run.sh").chmod(0o600)
        (first / "src/deep/er/b.py").unlink()
        (first / "link").unlink()
        (first / "new").write_text("new\n")
        third = backend.open(source, make_root("third"), commit)
        for tree in (second, third):
            assert (tree / "a.txt").read_text() == "one\n"
            assert os.access(tree / "run.sh", os.X_OK)
            assert (tree / "src/deep/er/b.py").exists()
            assert (tree / "link").is_symlink()
            assert not (tree / "new").exists()

    def test_what_is_written_comes_to_lie_where_it_says(self, backend, source, commit, make_root):
        root = make_root()
        tree = backend.open(source, root, commit)
        (tree / "src" / "new").write_text("new\n")
        assert (backend.grows(root) / "src" / "new").read_text() == "new\n"

    def test_folders_can_be_renamed_as_agents_do(self, backend, source, commit, make_root):
        tree = backend.open(source, make_root(), commit)
        (tree / "src").rename(tree / "lib")
        assert (tree / "lib/deep/er/b.py").read_text() == "B = 1\n"
        assert not (tree / "src").exists()

    def test_opening_again_after_a_crash_gives_the_commit_anew(
        self, backend, source, commit, make_root
    ):
        root = make_root()
        tree = backend.open(source, root, commit)
        (tree / "a.txt").write_text("half done\n")
        assert backend.open(source, root, commit) == tree
        assert (tree / "a.txt").read_text() == "one\n"

    def test_a_near_commit_gives_the_same_files(
        self, backend, source, commit, repo, git, make_root
    ):
        backend.open(source, make_root("base"), commit)
        (repo / "a.txt").write_text("two\n")
        git(repo, "rm", "--quiet", "-r", "src")
        (repo / "src").write_text("a file now\n")
        git(repo, "add", "--all")
        git(repo, "commit", "--quiet", "--message", "Second")
        later = Mirror(source.mirror).fetch(repo / ".git", "main")
        root = make_root("later")
        tree = backend.open(source, root, later, near=commit)
        assert (tree / "a.txt").read_text() == "two\n"
        assert (tree / "src").read_text() == "a file now\n"
        place = Place(source.mirror, tree, root / "control" / INDEX)
        assert Git().run(place, "ls-files", "-m", "-d", "-o") == b""
        assert Git().run(place, "write-tree").decode().strip() == (
            Mirror(source.mirror).tree_of(later)
        )
        again = backend.open(source, make_root("again"), commit)
        assert (again / "a.txt").read_text() == "one\n"

    def test_a_near_commit_that_nobody_has_is_no_hindrance(
        self, backend, source, commit, make_root
    ):
        tree = backend.open(source, make_root(), commit, near="0" * 40)
        assert (tree / "a.txt").read_text() == "one\n"

    def test_a_layer_lies_under_the_files_and_is_not_altered(
        self, backend, source, commit, make_root, tmp_path
    ):
        layer = tmp_path / "layer"
        (layer / "modules/pkg").mkdir(parents=True)
        (layer / "modules/pkg/index.js").write_text("dep\n")
        (layer / "modules/bin").symlink_to("pkg")
        (layer / "top.txt").write_text("top\n")
        tree = backend.open(source, make_root(), commit, layer=layer)
        assert (tree / "modules/bin/index.js").read_text() == "dep\n"
        assert (tree / "a.txt").read_text() == "one\n"
        (tree / "modules/pkg/index.js").write_text("changed\n")
        (tree / "top.txt").unlink()
        assert (layer / "modules/pkg/index.js").read_text() == "dep\n"
        assert (layer / "top.txt").exists()

    def test_reopening_keeps_what_was_written(self, backend, source, commit, make_root):
        root = make_root()
        tree = backend.open(source, root, commit)
        (tree / "new").write_text("kept\n")
        backend.reopen(root)
        backend.reopen(root)
        assert (tree / "new").read_text() == "kept\n"
        assert (tree / "a.txt").read_text() == "one\n"

    def test_closing_leaves_nothing_and_can_be_repeated(self, backend, source, commit, make_root):
        root = make_root()
        tree = backend.open(source, root, commit)
        (tree / "locked").mkdir(mode=0o000)
        backend.close(root)
        assert list(root.iterdir()) == []
        backend.close(root)

    def test_closing_does_not_follow_links(self, backend, source, commit, make_root, tmp_path):
        precious = tmp_path / "precious"
        precious.mkdir()
        (precious / "file").write_text("keep\n")
        root = make_root()
        tree = backend.open(source, root, commit)
        (tree / "out").symlink_to(precious)
        backend.close(root)
        assert (precious / "file").read_text() == "keep\n"

    def test_what_it_says_was_touched_covers_every_change(self, backend, source, commit, make_root):
        root = make_root()
        tree = backend.open(source, root, commit)
        untouched = backend.touched(root)
        assert untouched in (None, [])
        (tree / "a.txt").write_text("changed\n")
        (tree / "src/deep/new.txt").write_text("new\n")
        (tree / "run.sh").unlink()
        (tree / "fresh/below").mkdir(parents=True)
        (tree / "fresh/below/x").write_text("x\n")
        touched = backend.touched(root)
        if touched is not None:
            for path in ("a.txt", "src/deep/new.txt", "run.sh", "fresh/below/x"):
                assert any(path == t or path.startswith(f"{t}/") for t in touched), path

    def test_what_a_near_start_brought_counts_as_touched_when_it_is_gone(
        self, backend, source, commit, repo, git, make_root
    ):
        backend.open(source, make_root("base"), commit)
        (repo / "added.txt").write_text("added\n")
        git(repo, "add", "--all")
        git(repo, "commit", "--quiet", "--message", "Second")
        later = Mirror(source.mirror).fetch(repo / ".git", "main")
        root = make_root("later")
        tree = backend.open(source, root, later, near=commit)
        (tree / "added.txt").unlink()
        assert "added.txt" in (backend.touched(root) or ["added.txt"])

    def test_the_root_itself_stays_the_same_folder(self, backend, source, commit, make_root):
        root = make_root()
        before = Identity.of(root)
        backend.open(source, root, commit)
        backend.close(root)
        assert Identity.of(root) == before
