"""The overlay backend: the contract, and what only it does."""

from __future__ import annotations

import os
import subprocess

import pytest

from contracts.workspace import WorkspaceContract
from muster.domain.errors import Refused
from muster.workspace.base import Backend
from muster.workspace.mirror import Mirror
from muster.workspace.mount import is_mounted, mounts_below, unmount
from muster.workspace.overlay import OverlayBackend


@pytest.mark.needs_overlay
class TestOverlay(WorkspaceContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return OverlayBackend()

    def test_a_workspace_costs_no_git_process_once_its_base_is_there(
        self, source, commit, make_root
    ):
        backend = OverlayBackend()
        backend.open(source, make_root("first"), commit)
        before = backend._git.started
        backend.open(source, make_root("second"), commit)
        assert backend._git.started == before

    def test_what_a_boot_took_away_is_mounted_again(self, backend, source, commit, make_root):
        root = make_root()
        tree = backend.open(source, root, commit)
        (tree / "new").write_text("kept\n")
        unmount(tree)
        assert not (tree / "a.txt").exists()
        OverlayBackend().reopen(root)
        assert (tree / "new").read_text() == "kept\n"
        assert (tree / "a.txt").read_text() == "one\n"

    def test_it_is_closed_while_a_program_stands_in_it(self, backend, source, commit, make_root):
        root = make_root()
        tree = backend.open(source, root, commit)
        with subprocess.Popen(["sleep", "60"], cwd=tree) as standing:
            backend.close(root)
            assert list(root.iterdir()) == []
            standing.kill()

    def test_git_mv_of_a_folder_works_in_it(self, backend, source, commit, make_root, git):
        tree = backend.open(source, make_root(), commit)
        git(tree, "init", "--quiet")
        git(tree, "add", "--all")
        git(tree, "mv", "src", "lib")
        assert (tree / "lib/deep/er/b.py").exists()

    @pytest.mark.parametrize("name", ["co:lon", "com,ma", "back\\slash", "sp ace", "ünï"])
    def test_paths_with_the_kernels_own_separators_can_be_mounted(
        self, backend, source, commit, make_root, name
    ):
        root = make_root(name)
        tree = backend.open(source, root, commit)
        assert (tree / "a.txt").exists()
        assert is_mounted(tree)
        backend.close(root)
        assert mounts_below(root) == []

    def test_a_folder_of_another_kind_is_not_reopened(self, backend, make_root):
        with pytest.raises(Refused, match="not a workspace of the overlay backend"):
            backend.reopen(make_root())

    def test_bases_that_nobody_stands_on_are_pruned_and_the_others_stay(
        self, backend, source, commit, make_root, repo, git
    ):
        held = make_root("held")
        tree = backend.open(source, held, commit)
        from_here = []
        for number in range(6):
            (repo / "a.txt").write_text(f"{number}\n")
            git(repo, "commit", "--quiet", "--all", "--message", str(number))
            from_here.append(_fetch(source, repo))
            root = make_root(f"ws{number}")
            backend.open(source, root, from_here[-1])
            backend.close(root)
        kept = {path.name for path in source.bases.iterdir()}
        assert kept >= {commit, from_here[-1]}
        assert len(kept) <= 5
        assert from_here[0] not in kept
        assert (tree / "a.txt").read_text() == "one\n"

    def test_drafts_that_a_crash_left_are_swept_when_they_are_old(
        self, backend, source, commit, make_root
    ):
        for name in (".new-old", ".new-fresh", ".old-old"):
            (source.bases / name / "tree").mkdir(parents=True)
        for name in (".new-old", ".old-old"):
            os.utime(source.bases / name, (1, 1))
        backend.open(source, make_root(), commit)
        assert {path.name for path in source.bases.iterdir()} == {commit, ".new-fresh"}

    def test_a_large_repository_gets_no_base_for_each_step_of_its_branch(
        self, source, commit, make_root, repo, git
    ):
        backend = OverlayBackend(large_index=1)
        backend.open(source, make_root("first"), commit)
        (repo / "a.txt").write_text("two\n")
        git(repo, "commit", "--quiet", "--all", "--message", "Second")
        later = _fetch(source, repo)
        tree = backend.open(source, make_root("later"), later)
        assert (tree / "a.txt").read_text() == "two\n"
        assert [path.name for path in source.bases.iterdir()] == [commit]
        for number in range(300):
            (repo / f"many{number}").write_text("many\n")
        git(repo, "add", "--all")
        git(repo, "commit", "--quiet", "--message", "Far")
        far = _fetch(source, repo)
        assert (backend.open(source, make_root("far"), far) / "many7").exists()
        assert {path.name for path in source.bases.iterdir()} == {commit, far}

    def test_a_layer_that_hides_files_of_the_near_commit_makes_it_start_afresh(
        self, backend, source, commit, make_root, repo, git, tmp_path
    ):
        backend.open(source, make_root("base"), commit)
        git(repo, "rm", "--quiet", "-r", "src")
        git(repo, "commit", "--quiet", "--message", "Without src")
        later = _fetch(source, repo)
        layer = tmp_path / "layer"
        (layer / "src/deep/er").mkdir(parents=True)
        (layer / "src/deep/er/b.py").write_text("made by the setup\n")
        tree = backend.open(source, make_root("later"), later, near=commit, layer=layer)
        assert (tree / "src/deep/er/b.py").read_text() == "made by the setup\n"

    def test_devices_and_set_user_id_programs_have_no_power_in_it(
        self, backend, source, commit, make_root
    ):
        tree = backend.open(source, make_root(), commit)
        flags = os.statvfs(tree).f_flag
        assert flags & os.ST_NOSUID
        assert flags & os.ST_NODEV

    def test_without_a_mount_the_reason_is_said(self, home):
        assert OverlayBackend().available(home / "nowhere") != ""


def _fetch(source, repo) -> str:
    return Mirror(source.mirror).fetch(repo / ".git", "main")
