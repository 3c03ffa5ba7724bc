"""The branches of the user's repository: where one is, and moving it if it still is there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from muster.domain.errors import GitFailed, Stale
from muster.domain.guard import commit_id, ref_name
from muster.workspace.git import Git, Place
from muster.workspace.mirror import no_repository
from muster.workspace.refs import told

NOBODY = {
    f"GIT_COMMITTER_{what}": value
    for what, value in {"NAME": "muster", "EMAIL": "muster@localhost"}.items()
}
"""Who moved a ref, for its log."""


def head(git: Git, git_dir: Path, branch: str) -> str | None:
    """The commit a branch of the user's repository has now; None when there is no such branch.

    Raises:
        NotFound: no repository is there.
    """
    known = told(git_dir, ref_name(branch))
    if known is not None:
        return known or None
    name = f"refs/heads/{branch}^{{commit}}"
    answer = git.ask(Place(git_dir), "rev-parse", "--verify", "--quiet", name)
    if answer.code not in {0, 1}:
        raise no_repository(git_dir)
    return answer.out.decode().strip() or None


def move_ref(git: Git, git_dir: Path, branch: str, old: str, new: str, why: str) -> None:
    """Move a branch of the user's repository from `old` to `new`, if it still is there.

    An `old` of zeros makes it, if there is none.

    Raises:
        Stale: it is somewhere else by now.
    """
    try:
        git.run(
            Place(git_dir, env=NOBODY),
            "update-ref",
            "-m",
            why,
            f"refs/heads/{ref_name(branch)}",
            commit_id(new),
            commit_id(old),
        )
    except GitFailed as error:
        now = head(git, git_dir, branch)
        if now == new:
            return
        if (now or "0" * len(old)) != old:
            raise Stale(
                f"{branch} has moved from {old[:12]} to {(now or 'nothing')[:12]}"
            ) from error
        raise


def move_refs(git: Git, git_dir: Path, moves: Iterable[tuple[str, str, str]], why: str) -> bool:
    """Move several branches, each from its old commit to its new one; whether all are moved.

    All or none. As with `move_ref` an old commit of zeros makes a branch.
    """
    lines = [
        f"update refs/heads/{ref_name(branch)} {commit_id(new)} {commit_id(old)}\n"
        for branch, old, new in moves
    ]
    place, asked = Place(git_dir, env=NOBODY), "".join(lines).encode()
    return git.ask(place, "update-ref", "-m", why, "--stdin", stdin=asked).code == 0
