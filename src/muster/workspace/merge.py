"""Two lines of work made one, in the object store alone: no file of anybody is touched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muster.domain.errors import Invalid, Unavailable
from muster.domain.guard import commit_id
from muster.workspace.commits import Author, can_be_named, write_commit
from muster.workspace.compare import is_ancestor
from muster.workspace.git import MERGE_TREE, failure
from muster.workspace.mirror import Mirror

_MOST_PATHS = 50
_MOST_BYTES = 64 * 1024
"""How much of a conflict is told: so many paths, so much of each version."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The commit that holds both."""

    commit: str


@dataclass(frozen=True, slots=True)
class ConflictedPath:
    """One path that a person has to settle.

    The texts are cut at 64 KiB; a version that does not exist or is no text is empty. `ours` is the
    target's, `theirs` the work's, `marked` what git made of them.
    """

    path: str
    base: str
    ours: str
    theirs: str
    marked: str


@dataclass(frozen=True, slots=True)
class Conflicted:
    """No commit: these paths cannot be joined. At most 50 are told; `more` says how many not."""

    paths: tuple[ConflictedPath, ...]
    more: int = 0


def merge(
    mirror: Mirror, target: str, work: str, method: str, message: str, author: Author
) -> Merged | Conflicted:
    """Join `work` to `target`: by a merge commit, or by its commits set anew upon it (`rebase`).

    Raises:
        Invalid: another method.
        Unavailable: git is older than 2.38.
        GitFailed: a commit is not in the mirror, or the histories have nothing in common.
    """
    if method not in {"merge", "rebase"}:
        raise Invalid(f"{method!r} is no way to merge", hint="use merge or rebase")
    _needs_merge_tree(mirror)
    commit_id(target), commit_id(work)
    if is_ancestor(mirror, work, target):
        return Merged(target)
    if method == "rebase":
        return _rebase(mirror, target, work, author)
    if target in mirror.commit(work).parents:
        # Nothing happened beside the work: together they are what the work is.
        tree = mirror.tree_of(work)
    else:
        tree, conflict = _join(mirror, target, work)
        if conflict:
            return conflict
    made = write_commit(mirror, tree, [target, work], message, author)
    return _kept(mirror, made)


def conflicting(mirror: Mirror, one: str, other: str) -> tuple[str, ...]:
    """The paths that keep two commits from being joined, at most 50; nothing is kept of the look.

    Raises:
        Unavailable: git is older than 2.38.
        GitFailed: a commit is not in the mirror, or the histories have nothing in common.
    """
    _needs_merge_tree(mirror)
    how = ("--write-tree", "-z", "--name-only", "--no-messages")
    args = ("merge-tree", *how, commit_id(one), commit_id(other))
    answer = mirror.git.ask(mirror.place, *args)
    if answer.code not in {0, 1}:
        raise failure(args, answer)
    _, *paths = os.fsdecode(answer.out).split("\0")
    return tuple(filter(None, paths))[:_MOST_PATHS] if answer.code == 1 else ()


def _kept(mirror: Mirror, commit: str) -> Merged:
    mirror.keep(f"refs/muster/merged/{commit}", commit)
    return Merged(commit)


def _needs_merge_tree(mirror: Mirror) -> None:
    version = mirror.git.version()
    if version[:2] < MERGE_TREE:
        raise Unavailable(
            f"git {'.'.join(map(str, version))} cannot merge without a work tree",
            hint="install git 2.38 or newer",
        )


def _rebase(mirror: Mirror, target: str, work: str, author: Author) -> Merged | Conflicted:
    """Replay what `work` has and `target` lacks, oldest first; merges in between are left out."""
    listed = mirror.git.run(
        mirror.place,
        *("rev-list", "--reverse", "--topo-order", "--no-merges", f"{target}..{work}"),
    )
    commits = listed.decode().split()
    if commits and is_ancestor(mirror, target, work) and _is_linear(mirror, target, work, commits):
        return Merged(work)
    top = target
    for commit in commits:
        above = _replay(mirror, top, commit, author)
        if isinstance(above, Conflicted):
            return above
        top = above
    return _kept(mirror, top)


def _is_linear(mirror: Mirror, target: str, work: str, commits: Sequence[str]) -> bool:
    count = mirror.git.run(mirror.place, "rev-list", "--count", f"{target}..{work}")
    return int(count) == len(commits)


def _replay(mirror: Mirror, top: str, commit: str, author: Author) -> str | Conflicted:
    """One commit upon `top`; `top` itself when it then changes nothing.

    git's `merge-tree` finds the base by history: a stand-in with the tree of `top` and the parent
    of `commit` makes that parent the base.
    """
    shown = mirror.git.run(
        mirror.place, "log", "-1", "--format=%P%x00%T%x00%an%x00%ae%x00%at%x00%B", commit
    )
    parents, _, name, email, when, message = shown.decode("utf-8", "replace").split("\0", 5)
    tree = mirror.tree_of(top)
    stand_in = write_commit(mirror, tree, parents.split()[:1], "stand-in", author)
    joined, conflict = _join(mirror, stand_in, commit)
    if conflict:
        return conflict
    if joined == tree:
        return top
    by = Author(name if can_be_named(name) else author.name, email, int(when) * 1000)
    return write_commit(mirror, joined, [top], message, by, author)


def _join(mirror: Mirror, ours: str, theirs: str) -> tuple[str, Conflicted | None]:
    args = ("merge-tree", "--write-tree", "-z", "--no-messages", ours, theirs)
    answer = mirror.git.ask(mirror.place, *args)
    if answer.code not in {0, 1}:
        raise failure(args, answer)
    tree, *entries = os.fsdecode(answer.out).split("\0")
    return tree.strip(), (_conflict(mirror, tree, entries) if answer.code == 1 else None)


def _conflict(mirror: Mirror, tree: str, entries: list[str]) -> Conflicted:
    stages: dict[str, dict[int, str]] = {}
    for entry in filter(None, entries):
        how, _, path = entry.partition("\t")
        _, blob, stage = how.split(" ")
        stages.setdefault(path, {})[int(stage)] = blob
    told = list(stages)[:_MOST_PATHS]
    asked = [name for path in told for name in (*_versions(stages[path]), f"{tree}:{path}")]
    texts = _texts(mirror, asked)
    paths = tuple(ConflictedPath(path, *(next(texts) for _ in range(4))) for path in told)
    return Conflicted(paths, len(stages) - len(told))


def _versions(stages: dict[int, str]) -> Iterator[str]:
    return (stages.get(stage, "-") for stage in (1, 2, 3))


def _texts(mirror: Mirror, names: list[str]) -> Iterator[str]:
    """The text of each object, in one process; what is no object has none."""
    out = mirror.git.run(
        mirror.place, "cat-file", "--batch", "-z", stdin=os.fsencode("\0".join(names) + "\0")
    )
    at = 0
    for name in names:
        missing = os.fsencode(name) + b" missing\n"
        if out.startswith(missing, at):
            at += len(missing)
            yield ""
            continue
        end = out.index(b"\n", at)
        _, kind, size = out[at:end].split(b" ")
        data = out[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)
        text = kind == b"blob" and b"\0" not in data[:8192]
        yield data[:_MOST_BYTES].decode("utf-8", "replace") if text else ""
