"""The mirror: what is fetched, what is refused, and that the user's repository is only read."""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from muster.domain.errors import GitFailed, Invalid, NotFound, Refused
from muster.workspace.git import Git, Place
from muster.workspace.mirror import Mirror
from muster.workspace.workspaces import Workspaces
from workspace.project import REPO


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file of a folder with its content."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.is_symlink()
    }


@pytest.fixture
def mirror(home) -> Mirror:
    return Mirror(home / "mirror.git")


def test_a_fetch_brings_the_branch_and_alters_nothing(git_repo, git, mirror):
    repo = git_repo("with space and ünïcode")
    before = fingerprint(repo)
    commit = mirror.fetch(repo / ".git", "main")
    assert commit == git(repo, "rev-parse", "HEAD")
    assert mirror.has(commit)
    assert fingerprint(repo) == before


def test_only_what_is_new_comes_the_next_time(git_repo, git, mirror):
    repo = git_repo()
    first = mirror.fetch(repo / ".git", "main")
    before = mirror.git.started
    assert mirror.fetch(repo / ".git", "main") == first
    assert mirror.git.started == before
    (repo / "new").write_text("n\n")
    git(repo, "add", "new")
    git(repo, "commit", "--quiet", "--message", "New")
    second = mirror.fetch(repo / ".git", "main")
    packs = sorted((mirror.path / "objects/pack").glob("*.pack"), key=os.path.getmtime)
    listed = mirror.git.run(
        mirror.place, "show-index", stdin=packs[-1].with_suffix(".idx").read_bytes()
    )
    assert len(listed.splitlines()) == 3
    assert mirror.fetched() == {"main": second}


def test_other_branches_of_the_user_are_not_taken(git_repo, git, mirror):
    repo = git_repo()
    git(repo, "checkout", "--quiet", "-b", "private")
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "Private")
    private = git(repo, "rev-parse", "private")
    mirror.fetch(repo / ".git", "main")
    assert not mirror.has(private)


def test_what_is_here_survives_the_loss_of_the_users_repository(git_repo, mirror):
    repo = git_repo()
    commit = mirror.fetch(repo / ".git", "main")
    shutil.rmtree(repo)
    assert b"sums.py" in mirror.git.run(mirror.place, "ls-tree", commit)
    mirror.git.run(mirror.place, "fsck", "--full", "--strict")
    with pytest.raises(NotFound, match="no git repository"):
        mirror.fetch(repo / ".git", "main")


def test_a_rewritten_branch_is_fetched_even_when_the_old_one_is_gone(git_repo, git, mirror):
    repo = git_repo()
    mirror.fetch(repo / ".git", "main")
    git(repo, "commit", "--quiet", "--amend", "--message", "Rewritten")
    git(repo, "reflog", "expire", "--expire=now", "--all")
    git(repo, "gc", "--quiet", "--prune=now")
    assert mirror.fetch(repo / ".git", "main") == git(repo, "rev-parse", "HEAD")


def test_what_is_made_in_one_that_borrows_is_not_in_the_one_that_lends(git_repo, git, home):
    spaces = Workspaces(home, {})
    repo = git_repo()
    lender = spaces.mirror("prj")
    before = spaces.mirror("prj.hidden")
    assert not before.is_made
    base = lender.fetch(repo / ".git", "main")
    hidden = spaces.mirror("prj.hidden")
    assert hidden.has(base)
    assert spaces.objects("prj") == (lender.path / "objects",)
    assert spaces.objects("prj.hidden") == (hidden.path / "objects", lender.path / "objects")
    (repo / "more").mkdir()
    for name in ("test_a", "test_b"):
        (repo / "more" / name).write_text(name)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "more")
    work = lender.fetch(repo / ".git", "main")
    assert hidden.has(work)
    taken = spaces.with_files("prj.hidden", base, work, ["more/test_b", "more/none"])
    assert {*spaces.paths("prj.hidden", taken)} - {*spaces.paths("prj", base)} == {"more/test_b"}
    assert hidden.has(taken)
    assert not lender.has(taken)
    listed = lender.git.run(lender.place, "cat-file", "--batch-all-objects", "--batch-check")
    assert taken not in listed.decode()
    assert spaces.with_files("prj.hidden", base, work, ["none"]) == base
    spaces.rest()


def test_a_detached_head_is_no_hindrance(git_repo, git, mirror):
    repo = git_repo()
    git(repo, "checkout", "--quiet", "--detach")
    assert mirror.fetch(repo / ".git", "main") == git(repo, "rev-parse", "main")


def test_a_linked_work_tree_gives_the_same_branches(git_repo, git, mirror, tmp_path):
    repo = git_repo()
    git(repo, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "linked"))
    assert mirror.fetch(repo / ".git", "side") == git(repo, "rev-parse", "side")


def test_packed_and_loose_refs_are_both_found(git_repo, git, mirror):
    repo = git_repo()
    git(repo, "pack-refs", "--all")
    assert mirror.fetch(repo / ".git", "main")


def test_a_repository_without_commits_says_what_to_do(tmp_path, git, mirror):
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    with pytest.raises(Invalid, match="no commits") as caught:
        mirror.fetch(tmp_path / ".git", "main")
    assert "first commit" in caught.value.hint


def test_a_branch_that_is_not_there_is_named(git_repo, mirror):
    with pytest.raises(NotFound, match="'nope'"):
        mirror.fetch(git_repo() / ".git", "nope")


def test_a_folder_that_is_no_repository_is_named(tmp_path, mirror):
    with pytest.raises(NotFound, match="no git repository"):
        mirror.fetch(tmp_path, "main")


def test_a_branch_with_a_hostile_name_is_refused(git_repo, mirror):
    with pytest.raises(Invalid):
        mirror.fetch(git_repo() / ".git", "--upload-pack=x")


def test_a_shallow_clone_works_from_end_to_end(git_repo, git, home, tmp_path, make_workspaces):
    far = git_repo("far")
    for number in range(3):
        git(far, "commit", "--quiet", "--allow-empty", "--message", str(number))
    near = tmp_path / "near"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{far}", str(near))
    workspaces = make_workspaces("clone")
    commit = workspaces.mirror(REPO).fetch(near / ".git", "main")
    ws = workspaces.open("w", REPO, commit)
    assert git(ws.tree, "rev-list", "--count", "HEAD") == "1"
    (ws.tree / "a").write_text("1\n")
    made = workspaces.snapshot(ws, commit, "Work", "A", "a@example.org").commit
    assert workspaces.publish(REPO, near / ".git", "muster/mu-1", made)
    assert workspaces.land(REPO, near / ".git", near, "main", commit, made)
    assert (near / "a").read_text() == "1\n"
    git(near, "fsck", "--strict")


def test_a_sha256_repository_works_from_end_to_end(tmp_path, git, make_workspaces):
    repo = tmp_path / "new"
    repo.mkdir()
    git(repo, "init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    (repo / "a").write_text("a\n")
    git(repo, "add", "a")
    git(repo, "commit", "--quiet", "--message", "Start")
    workspaces = make_workspaces("clone")
    commit = workspaces.mirror(REPO).fetch(repo / ".git", "main")
    assert len(commit) == 64
    ws = workspaces.open("w", REPO, commit, branch="muster/mu-1")
    (ws.tree / "b").write_text("b\n")
    assert git(ws.tree, "status", "--short") == "?? b"
    made = workspaces.snapshot(ws, commit, "Work", "A", "a@example.org").commit
    merged = workspaces.merge(REPO, commit, made, "merge", "M", "A", "a@example.org")
    assert workspaces.publish(REPO, repo / ".git", "muster/mu-1", made)
    assert workspaces.land(REPO, repo / ".git", repo, "main", commit, merged.commit)
    assert (repo / "b").read_text() == "b\n"


def test_refs_of_the_mirror_are_whole_and_are_what_git_reads(sample):
    mirror = sample.workspaces.mirror(REPO)
    mirror.keep("refs/muster/deep/er/x", sample.commit)
    assert mirror.ref("refs/muster/deep/er/x") == sample.commit
    assert sample.git_in_mirror("rev-parse", "refs/muster/deep/er/x") == sample.commit
    sample.git_in_mirror("pack-refs", "--all")
    assert mirror.ref("refs/muster/deep/er/x") == sample.commit
    assert mirror.ref("refs/muster/none") is None


def test_without_git_the_error_says_so(tmp_path):
    with pytest.raises(Refused, match="could not be started") as caught:
        Git(str(tmp_path / "no-git")).run(Place(tmp_path), "version")
    assert "install git" in caught.value.hint


def test_a_command_that_takes_too_long_is_stopped_with_all_it_started(tmp_path):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 60 & echo $! > child\nwait\n")
    slow.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(GitFailed, match="was stopped after 1 s"):
        Git(str(slow)).run(Place(tmp_path, work), "status", seconds=1)
    child = int((work / "child").read_text())
    _, alive = psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], 5)
    assert not alive


def test_errors_hold_gits_last_words_and_no_credentials(tmp_path):
    talking = tmp_path / "talking"
    talking.write_text(
        "#!/bin/sh\necho 'fatal: cannot read https://bob:hunter2@example.org/x' >&2\nexit 128\n"
    )
    talking.chmod(0o755)
    with pytest.raises(GitFailed) as caught:
        Git(str(talking)).run(Place(tmp_path), "fetch", "x")
    assert caught.value.detail == "git fetch failed: cannot read https://example.org/x"


def test_output_is_read_only_as_far_as_asked_for(sample):
    place = sample.workspaces.mirror(REPO).place
    answer = Git().ask(place, "cat-file", "-p", f"{sample.commit}:sums.py", limit=3)
    assert (answer.out, answer.cut) == (b"def", True)


def test_the_environment_of_the_server_does_not_reach_git(sample, monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    assert sample.workspaces.mirror(REPO).has(sample.commit)


def test_two_threads_may_fetch_at_once(git_repo, home):
    repo = git_repo()
    workspaces = Workspaces(home, {})
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: workspaces.mirror(REPO).fetch(repo / ".git", "main"), range(8))
        )
    assert len(set(found)) == 1
