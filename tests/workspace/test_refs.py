"""A branch read from files is what git would say, or is left to git."""

from __future__ import annotations

import os

import pytest

from muster.workspace.branches import head
from muster.workspace.git import Git
from muster.workspace.refs import told


@pytest.fixture
def repo(git_repo, git):
    folder = git_repo()
    git(folder, "branch", "muster/tsk_1")
    return folder


def test_loose_packed_and_absent_branches_are_told(repo, git):
    first = git(repo, "rev-parse", "HEAD")
    assert told(repo / ".git", "main") == first
    assert told(repo / ".git", "muster/tsk_1") == first
    assert told(repo / ".git", "nope") == ""
    git(repo, "pack-refs", "--all")
    assert told(repo / ".git", "main") == first
    assert told(repo / ".git", "ain") == ""
    assert told(repo / ".git", "nope") == ""
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "Loose over packed")
    assert told(repo / ".git", "main") == git(repo, "rev-parse", "HEAD") != first
    git(repo, "branch", "--delete", "muster/tsk_1")
    assert told(repo / ".git", "muster/tsk_1") == ""


def test_no_process_is_started_for_it(repo):
    git = Git()
    assert head(git, repo / ".git", "main")
    assert head(git, repo / ".git", "nope") is None
    assert git.started == 0


def _symbolic(repo, git):
    git(repo, "symbolic-ref", "refs/heads/main2", "refs/heads/main")
    return "main2"


def _link(repo, git):
    (repo / ".git/refs/heads/linked").symlink_to("main")
    return "linked"


def _other_format(repo, git):
    with (repo / ".git/config").open("a") as config:
        config.write("[extensions]\n\tRefStorage = reftable\n")
    return "main"


def _shared(repo, git):
    (repo / ".git/commondir").write_text(".\n")
    return "main"


def _pipe(repo, git):
    os.mkfifo(repo / ".git/refs/heads/pipe")
    return "pipe"


def _torn(repo, git):
    (repo / ".git/refs/heads/main").write_bytes(b"\0" * 41)
    return "main"


def _folder(repo, git):
    return "muster"


@pytest.mark.parametrize("make", [_folder, _symbolic, _link, _other_format, _shared, _pipe, _torn])
def test_what_only_git_can_tell_is_left_to_git(repo, git, make):
    assert told(repo / ".git", make(repo, git)) is None


def test_what_is_no_repository_is_left_to_git(tmp_path):
    assert told(tmp_path, "main") is None
