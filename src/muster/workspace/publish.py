"""A task's branch shown in the user's repository, where their own tools can see it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from muster.domain.guard import commit_id, own_branch
from muster.workspace.branches import head, move_ref
from muster.workspace.git import Git, Place
from muster.workspace.mirror import Mirror
from muster.workspace.refs import told
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
    shown = to_show(mirror, user_git_dir, branch, commit)
    if shown is None:
        return head(mirror.git, user_git_dir, own_branch(branch)) == commit
    bring(mirror, user_git_dir, [commit], [shown.old] if shown.old.strip("0") else [])
    move_ref(mirror.git, user_git_dir, shown.branch, shown.old, commit, "muster: show work")
    return True


@dataclass(frozen=True, slots=True)
class Shown:
    """A branch below `muster/` that is to go from `old` (zeros: it is not there) to `new`."""

    branch: str
    old: str
    new: str


def to_show(mirror: Mirror, user_git_dir: Path, branch: str, commit: str) -> Shown | None:
    """What `publish` has to do; None when the branch is there, or has to be left alone."""
    name = own_branch(branch)
    now = head(mirror.git, user_git_dir, name)
    if now == commit_id(commit):
        return None
    if checked_out(mirror.git, user_git_dir, name) or (now and not mirror.has(now)):
        return None
    return Shown(name, now or _ZEROS[: len(commit)], commit)


def bring(mirror: Mirror, user_git_dir: Path, want: Iterable[str], both: Iterable[str]) -> None:
    """Put commits of the mirror, with all they need, among the user's objects.

    `both` are commits that both sides are known to have: what the user's branches are at, they
    have. Only where nothing is known the user's git is asked.
    """
    user = Place(user_git_dir)
    fetched = mirror.fetched()
    shared = {*both, *(c for name, c in fetched.items() if told(user_git_dir, name) == c)}
    lacking = [commit for commit in want if commit not in shared]
    if lacking and not shared:
        known = sorted(set(fetched.values()))
        there = _commits(mirror.git, user, [*lacking, *known])
        shared = there.intersection(known)
        lacking = [commit for commit in lacking if commit not in there]
    if lacking:
        transfer(mirror.git, mirror.place, user, lacking, sorted(shared))


def _commits(git: Git, user: Place, asked: Iterable[str]) -> set[str]:
    """Those of `asked` that are among the user's objects."""
    names = "".join(f"{name}\n" for name in asked).encode()
    answer = git.run(user, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=names)
    return {line.split()[0] for line in answer.decode().splitlines() if line.endswith(" commit")}


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
