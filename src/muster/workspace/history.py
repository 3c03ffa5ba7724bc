"""What came after a commit on its branch: the words of later commits, and whether it was undone."""

from __future__ import annotations

from dataclasses import dataclass

from muster.domain.guard import commit_id, relative_path
from muster.workspace.compare import changes
from muster.workspace.difference import Change
from muster.workspace.git import failure
from muster.workspace.mirror import Mirror

_FORMAT = "--format=%H%x00%B%x00%x01"
_MOST_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Words:
    """A commit with its whole message."""

    commit: str
    message: str


def words_since(mirror: Mirror, since: str, tip: str, most: int) -> tuple[Words, ...]:
    """The newest commits that `tip` stands on and `since` does not, newest first.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    span = f"{commit_id(since)}..{commit_id(tip)}"
    args = ("log", "--no-show-signature", "--topo-order", f"--max-count={most}", _FORMAT, span)
    answer = mirror.git.ask(mirror.place, *args, limit=_MOST_BYTES)
    if answer.code != 0 and not answer.cut:
        raise failure(args, answer)
    records = answer.out.decode("utf-8", "replace").split("\0\x01")[:-1]
    pairs = (record.lstrip("\n").partition("\0") for record in records)
    return tuple(Words(commit, message) for commit, _, message in pairs)


Was = tuple[tuple[str, str | None], ...]
"""Paths with the object that each one was, None for none."""


def changed_from(mirror: Mirror, merged: str, most: int) -> Was:
    """The paths that a commit changed, with what they were before it; empty when they are more.

    Raises:
        GitFailed: it is not in the mirror.
    """
    parents = mirror.commit(commit_id(merged)).parents
    if not parents:
        return ()
    before = parents[0]
    found = {path for change in changes(mirror, before, merged) for path in _paths(change)}
    if len(found) > most:
        return ()
    was = ((path, _object(mirror, before, path)) for path in sorted(found))
    return tuple((path, old) for path, old in was if old != _object(mirror, merged, path))


def is_undone(mirror: Mirror, was: Was, tip: str) -> bool:
    """Whether at `tip` every one of these paths is again what it was."""
    return bool(was) and all(_object(mirror, tip, path) == old for path, old in was)


def _paths(change: Change) -> tuple[str, ...]:
    return (change.path, change.old_path) if change.old_path else (change.path,)


def _object(mirror: Mirror, commit: str, path: str) -> str | None:
    found = mirror.objects.info(f"{commit_id(commit)}:{relative_path(path)}")
    return found.id if found else None
