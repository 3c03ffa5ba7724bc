"""Workspaces that share blocks with a base: the contract on real disks, and their own faults."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

from contracts.workspace import WorkspaceContract
from muster.domain.errors import Conflict, GitFailed
from muster.workspace.base import Backend
from muster.workspace.btrfs import BtrfsBackend
from muster.workspace.checkout import INDEX
from muster.workspace.git import Git, Place
from muster.workspace.mirror import Mirror
from muster.workspace.reflink import ReflinkBackend
from muster.workspace.remove import Identity, remove_folder, remove_own
from muster.workspace.restat import restat
from muster.workspace.subvolume import is_subvolume, make_subvolume, take_snapshot


def _fetch(source, repo) -> str:
    return Mirror(source.mirror).fetch(repo / ".git", "main")


def _used(folder: Path) -> int:
    """Bytes in use on the disk, once everything has reached it."""
    os.sync()
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


class CopiedContract(WorkspaceContract):
    """What both kinds of copies keep beyond the contract."""

    @pytest.fixture
    def home(self, where):
        return Path(tempfile.mkdtemp(prefix="mu-", dir=where))

    def test_git_takes_the_files_for_unchanged_without_reading_them(
        self, backend, source, commit, make_root
    ):
        root = make_root()
        place = Place(source.mirror, backend.open(source, root, commit), root / "control" / INDEX)
        # It compares times, inodes and sizes, never contents.
        assert Git().run(place, "diff-files", "--name-only") == b""

    def test_a_rewrite_of_the_same_size_at_once_is_seen(self, backend, source, commit, make_root):
        root = make_root()
        tree = backend.open(source, root, commit)
        (tree / "a.txt").write_text("two\n")
        place = Place(source.mirror, tree, root / "control" / INDEX)
        assert Git().run(place, "ls-files", "-m") == b"a.txt\n"

    def test_files_share_their_blocks_until_they_are_written(
        self, backend, source, repo, git, make_root, where
    ):
        (repo / "big").write_bytes(os.urandom(20_000_000))
        git(repo, "add", "--all")
        git(repo, "commit", "--quiet", "--message", "Big")
        commit = _fetch(source, repo)
        backend.ready(source, commit)
        before = _used(where)
        trees = [backend.open(source, make_root(f"ws{n}"), commit) for n in range(3)]
        assert _used(where) - before < 5_000_000
        (trees[0] / "big").write_bytes(b"mine")
        assert (trees[1] / "big").stat().st_size == 20_000_000

    def test_bases_are_pruned_but_for_the_last_few(
        self, backend, source, commit, make_root, repo, git
    ):
        tree = backend.open(source, make_root("held"), commit)
        for number in range(5):
            (repo / "a.txt").write_text(f"{number}\n")
            git(repo, "commit", "--quiet", "--all", "--message", str(number))
            backend.open(source, make_root(f"ws{number}"), _fetch(source, repo))
        assert len(list(source.bases.iterdir())) <= 4
        assert commit not in {base.name for base in source.bases.iterdir()}
        assert (tree / "a.txt").read_text() == "one\n"

    def test_a_base_that_another_backend_made_serves_too(self, source, commit, make_root, backend):
        ReflinkBackend().ready(source, commit)
        root = make_root()
        tree = backend.open(source, root, commit)
        place = Place(source.mirror, tree, root / "control" / INDEX)
        assert Git().run(place, "ls-files", "-m", "-d", "-o") == b""
        assert (tree / "src/deep/er/b.py").read_text() == "B = 1\n"

    def test_where_it_cannot_be_used_the_reason_is_said(self, backend, tmp_path):
        assert "here: " in backend.available(tmp_path)


@pytest.mark.needs_xfs
class TestReflinkOnXfs(CopiedContract):
    @pytest.fixture
    def where(self, xfs) -> Path:
        return xfs

    @pytest.fixture
    def backend(self) -> Backend:
        return ReflinkBackend()


@pytest.mark.long
@pytest.mark.needs_btrfs
class TestReflinkOnBtrfs(CopiedContract):
    @pytest.fixture
    def where(self, btrfs) -> Path:
        return btrfs

    @pytest.fixture
    def backend(self) -> Backend:
        return ReflinkBackend()


@pytest.mark.needs_btrfs
class TestBtrfs(CopiedContract):
    @pytest.fixture
    def where(self, btrfs) -> Path:
        return btrfs

    @pytest.fixture
    def backend(self) -> Backend:
        return BtrfsBackend()

    def test_a_workspace_is_one_snapshot(self, backend, source, commit, make_root):
        tree = backend.open(source, make_root(), commit)
        assert is_subvolume(tree)
        assert (tree / "a.txt").stat().st_ino == (
            source.bases / commit / "tree/a.txt"
        ).stat().st_ino

    def test_subvolumes_that_an_agent_made_do_not_outlast_its_workspace(
        self, backend, source, commit, make_root
    ):
        root = make_root()
        tree = backend.open(source, root, commit)
        _nest(tree / "src")
        backend.close(root)
        assert list(root.iterdir()) == []


@pytest.mark.needs_btrfs
def test_a_plain_copy_with_nested_and_locked_subvolumes_is_removed(btrfs):
    folder = btrfs / "plain"
    folder.mkdir()
    _nest(folder)
    remove_own(folder)
    assert not folder.exists()


@pytest.mark.needs_btrfs
def test_a_mount_that_comes_while_a_folder_is_removed_is_not_entered(btrfs, tmp_path):
    # A bind mount of the same disk has the same device number, a subvolume another one.
    folder, precious = btrfs / "mounted-in", btrfs / "precious"
    make_subvolume(precious)
    (precious / "file").write_text("keep\n")
    (folder / "at").mkdir(parents=True)
    subprocess.run(["mount", "--bind", precious, folder / "at"], check=True)
    try:
        with pytest.raises(Conflict, match="mounted"):
            remove_folder(folder, Identity.of(folder))
        assert (precious / "file").exists()
    finally:
        subprocess.run(["umount", folder / "at"], check=True)


@pytest.mark.parametrize("sha256", [False, True])
def test_a_restated_index_is_one_that_git_accepts(tmp_path, sha256, git):
    kind = "sha256" if sha256 else "sha1"
    repo, copy = tmp_path / "repo", tmp_path / "copy"
    git(tmp_path, "init", "--quiet", f"--object-format={kind}", str(repo))
    names = ["a", "b" * 8, "deep/" * 30 + "x" * 200, "y" * 255, "d/" * 2100 + "long"]
    for name in names:
        if len(name) < 4000:
            (repo / name).parent.mkdir(parents=True, exist_ok=True)
            (repo / name).write_text(name)
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "First")
    subprocess.run(["cp", "-a", repo, copy], check=True)
    restat(repo / ".git/index", copy, copy / ".git/index", git(repo, "rev-parse", "HEAD"))
    assert git(copy, "diff-files", "--name-only") == ""
    assert git(copy, "fsck", "--strict") == ""
    assert git(copy, "write-tree") == git(repo, "write-tree")


def test_an_index_of_another_form_is_refused(tmp_path, git_repo, git):
    repo = git_repo()
    git(repo, "update-index", "--index-version", "4")
    with pytest.raises(GitFailed, match="no index that muster can read"):
        restat(repo / ".git/index", repo, tmp_path / "index", git(repo, "rev-parse", "HEAD"))


def _nest(folder: Path) -> None:
    """Subvolumes in subvolumes, a read-only one with a snapshot in it, and a very deep folder."""
    at = folder
    for number in range(4):
        at = at / f"sub{number}"
        make_subvolume(at)
        at = at / "below"
        at.mkdir()
        (at / "file").write_text("x\n")
    make_subvolume(at / "locked")
    (at / "locked" / "file").write_text("x\n")
    deep = os.open(at / "locked", os.O_RDONLY)
    try:
        take_snapshot(at / "locked", at / "taken")
        fcntl.ioctl(deep, 0x4008941A, struct.pack("=Q", 2))
    finally:
        os.close(deep)
    with pytest.raises(OSError, match="Read-only"):
        (at / "locked" / "more").write_text("x\n")
    here = os.open(at, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
