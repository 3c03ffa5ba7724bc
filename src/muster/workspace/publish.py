"""A task's branch shown in the user's repository, where their own tools can see it."""

from __future__ import annotations

import os
from pathlib import Path

from muster.domain.guard import commit_id, own_branch
from muster.workspace.branches import head, move_ref
from muster.workspace.git import Git, Place
from muster.workspace.mirror import Mirror
from muster.workspace.transfer import transfer

_ZEROS = "0" * 64


def publish(mirror: Mirror, user_git_dir: Path, branch: str, commit: str) -> bool:
    """Let a branch below `muster/` of the user's repository be at `commit`; whether it now is.

    A branch that the user has checked out, or on which they committed, is left alone.

    Raises:
        Invalid: the branch is not muster's own.
        NotFound: the repository is gone.
        GitFailed: the commit is not in the mirror, or the branch cannot be made.
    """
    name = own_branch(branch)
    now = head(mirror.git, user_git_dir, name)
    if now == commit_id(commit):
        return True
    if checked_out(mirror.git, user_git_dir, name) or (now and not mirror.has(now)):
        return False
    bring(mirror, user_git_dir, commit)
    old = now or _ZEROS[: len(commit)]
    move_ref(mirror.git, user_git_dir, name, old, commit, "muster: show work")
    return True


def bring(mirror: Mirror, user_git_dir: Path, commit: str) -> None:
    """Put a commit of the mirror, with all it needs, among the user's objects."""
    user = Place(user_git_dir)
    known = sorted(set(mirror.fetched().values()))
    asked = "".join(f"{name}\n" for name in (commit, *known))
    answer = mirror.git.run(
        user, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked.encode()
    )
    there = {line.split()[0] for line in answer.decode().splitlines() if line.endswith(" commit")}
    if commit not in there:
        shared = [name for name in known if name in there]
        transfer(mirror.git, mirror.place, user, [commit], shared)


def git_dirs(user_git_dir: Path) -> list[Path]:
    """The git folder of each of a repository's work trees, the main one first."""
    linked = user_git_dir / "worktrees"
    return [user_git_dir, *(sorted(linked.iterdir()) if linked.is_dir() else [])]


def checked_out(git: Git, user_git_dir: Path, branch: str) -> list[Path]:
    """The git folders of the work trees that stand on a branch."""
    return [folder for folder in git_dirs(user_git_dir) if stands_on(git, folder) == branch]


def stands_on(git: Git, git_dir: Path) -> str | None:
    """The branch that a work tree stands on; None when it stands on a commit."""
    try:
        text = os.fsdecode((git_dir / "HEAD").read_bytes()).strip()
    except FileNotFoundError:
        return None
    if text == "ref: refs/heads/.invalid":
        # A repository of the reftable format keeps its HEAD elsewhere.
        answer = git.ask(Place(git_dir), "symbolic-ref", "--quiet", "HEAD")
        text = f"ref: {os.fsdecode(answer.out).strip()}"
    if not text.startswith("ref: refs/heads/"):
        return None
    return text.removeprefix("ref: refs/heads/")
