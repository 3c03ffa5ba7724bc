"""What git says of two commits, asked once and kept: their paths, lines and patch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from muster.domain.guard import commit_id
from muster.workspace.git import Git, Place
from muster.workspace.kept import Kept
from muster.workspace.mirror import Mirror

DIFF = ("diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
ABSENT = "000000"
"""The mode of what is not there."""

_LINK = "120000"
_GITLINK = "160000"
_STATUS = {"A": "added", "M": "modified", "D": "deleted", "R": "renamed", "T": "modified"}
_MOST_DERIVED = 1024 * 1024
"""Bytes of a listing. A longer one is quicker made by git than here."""


@dataclass(frozen=True, slots=True)
class Change:
    """One changed path: `status` is added, modified, deleted or renamed (then with `old_path`).

    `added` and `removed` count lines; a `binary` file has none, and instead its new `size` in
    bytes. `link`: it is a symbolic link now. Names that are no UTF-8 hold surrogate escapes.
    """

    path: str
    old_path: str | None
    status: str
    added: int
    removed: int
    binary: bool
    size: int = 0
    link: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One path that differs between two commits; an id of zeros says it is not there."""

    path: str
    old_mode: str
    new_mode: str
    old: str
    new: str

    @property
    def is_new(self) -> bool:
        """Whether only the new commit has it."""
        return self.old_mode == ABSENT

    def turned(self) -> Entry:
        """The same, seen from the other commit."""
        return Entry(self.path, self.new_mode, self.old_mode, self.new, self.old)


@dataclass(frozen=True, slots=True)
class Difference:
    """All of it: `entries` have a rename as a removal and an addition, `changes` as one."""

    entries: tuple[Entry, ...]
    changes: tuple[Change, ...]
    patch: bytes


def difference(mirror: Mirror, base: str, head: str) -> Difference:
    """What differs from one commit to another, in git's order.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    trees = mirror.tree_of(commit_id(base)), mirror.tree_of(commit_id(head))
    out = mirror.kept.get(
        ("difference", *trees),
        lambda: mirror.git.run(
            mirror.place, *DIFF, "-M", "--raw", "--no-abbrev", "--numstat", "-p", "-z", *trees
        ),
    )
    return _parse(out)


def differing(mirror: Mirror, base: str, head: str) -> tuple[Entry, ...]:
    """The paths that differ, without renames; known already when the way back is.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    trees = mirror.tree_of(commit_id(base)), mirror.tree_of(commit_id(head))
    if ("difference", *reversed(trees)) in mirror.kept:
        return tuple(entry.turned() for entry in difference(mirror, head, base).entries)
    return difference(mirror, base, head).entries


def differing_files(git: Git, mirror: Path, kept: Kept, base: str, head: str) -> tuple[Entry, ...]:
    """The paths that differ, without renames, as quickly as git can tell them.

    Raises:
        GitFailed: one of the commits is not in the mirror.
    """
    ids = commit_id(base), commit_id(head)
    out = kept.get(
        ("files", *ids),
        lambda: git.run(Place(mirror), *DIFF, "--raw", "--no-abbrev", "-z", *ids),
    )
    told = out.split(b"\0")
    return tuple(
        entry
        for how, path in zip(told[:-1:2], told[1::2], strict=True)
        for entry in _entries(how.decode("ascii")[1:].split(" "), [os.fsdecode(path)])
    )


def _parse(out: bytes) -> Difference:
    """--raw entries (`:modes ids S`, paths), --numstat entries, an empty one, then the patch."""
    fields = out.split(b"\0")
    found: list[Entry] = []
    kinds: dict[str, str] = {}
    links: set[str] = set()
    at = 0
    while fields[at].startswith(b":"):
        how = fields[at].decode("ascii")[1:].split(" ")
        paths = [os.fsdecode(path) for path in fields[at + 1 : at + (3 if how[4][0] == "R" else 2)]]
        found.extend(_entries(how, paths))
        kinds[paths[-1]] = _STATUS[how[4][0]]
        if how[1] == _LINK:
            links.add(paths[-1])
        at += 1 + len(paths)
    changed: list[Change] = []
    while fields[at]:
        said, at = _numbers(fields, at)
        added, removed, old, path = said
        binary = added == "-"
        lines = (0, 0) if binary else (int(added), int(removed))
        changed.append(Change(path, old, kinds[path], *lines, binary, link=path in links))
    found.sort(key=lambda entry: os.fsencode(entry.path))
    return Difference(tuple(found), tuple(changed), b"\0".join(fields[at + 1 :]))


def _entries(how: list[str], paths: list[str]) -> Iterator[Entry]:
    old_mode, new_mode, before, after, _ = how
    if len(paths) == 1:
        yield Entry(paths[0], old_mode, new_mode, before, after)
        return
    nothing = "0" * len(before)
    yield Entry(paths[0], old_mode, ABSENT, before, nothing)
    yield Entry(paths[1], ABSENT, new_mode, nothing, after)


def _numbers(fields: list[bytes], at: int) -> tuple[tuple[str, str, str | None, str], int]:
    """One --numstat entry; a rename has its two paths in fields of their own."""
    added, removed, path = os.fsdecode(fields[at]).split("\t", 2)
    if path:
        return (added, removed, None, path), at + 1
    old, new = (os.fsdecode(name) for name in fields[at + 1 : at + 3])
    return (added, removed, old, new), at + 3


def listing(mirror: Mirror, commit: str, near: str | None = None) -> bytes:
    """Every path of a commit as `ls-tree -r -z` tells it.

    Worked out, without git, when the listing of `near` and the difference to it are kept.

    Raises:
        GitFailed: the commit is not in the mirror.
    """
    tree = mirror.tree_of(commit_id(commit))
    return mirror.kept.get(("listing", tree), lambda: _list(mirror, commit, tree, near))


def _list(mirror: Mirror, commit: str, tree: str, near: str | None) -> bytes:
    start = mirror.tree_of(near) if near and mirror.has(near) else tree
    known = ("listing", start), ("difference", start, tree)
    if near and all(key in mirror.kept for key in known):
        before = listing(mirror, near)
        if len(before) <= _MOST_DERIVED:
            return _applied(before, differing(mirror, near, commit))
    return mirror.git.run(mirror.place, "ls-tree", "-r", "-z", tree)


def _applied(before: bytes, changed: Iterable[Entry]) -> bytes:
    lines = {line.partition(b"\t")[2]: line for line in before.split(b"\0") if line}
    for entry in changed:
        path = os.fsencode(entry.path)
        lines.pop(path, None)
        if entry.new_mode != ABSENT:
            kind = "commit" if entry.new_mode == "160000" else "blob"
            lines[path] = f"{entry.new_mode} {kind} {entry.new}\t".encode() + path
    return b"".join(lines[path] + b"\0" for path in sorted(lines))


def gitlinks(
    mirror: Mirror, commit: str, near: str | None = None, large: int = _MOST_DERIVED
) -> tuple[str, ...]:
    """The paths of a commit that name a commit of another repository.

    Where the listing of `near` has more than `large` bytes, no other one is made.

    Raises:
        GitFailed: the commit is not in the mirror.
    """
    out = mirror.kept.get(
        ("gitlinks", mirror.tree_of(commit_id(commit))),
        lambda: b"\0".join(sorted(_gitlinks(mirror, commit, near, large))),
    )
    return tuple(os.fsdecode(path) for path in out.split(b"\0") if path)


def _gitlinks(mirror: Mirror, commit: str, near: str | None, large: int) -> Iterable[bytes]:
    """From a listing; of a large tree that is made at the near commit, and the rest worked out."""
    if not near or near == commit or not mirror.has(near):
        return _links(listing(mirror, commit))
    is_known = ("listing", mirror.tree_of(near)) in mirror.kept
    if is_known and len(listing(mirror, near)) <= large:
        return _links(listing(mirror, commit, near))
    found = {os.fsencode(path) for path in gitlinks(mirror, near)}
    for entry in _changed(mirror, near, commit):
        found.discard(os.fsencode(entry.path))
        if entry.new_mode == _GITLINK:
            found.add(os.fsencode(entry.path))
    return found


def _changed(mirror: Mirror, base: str, head: str) -> tuple[Entry, ...]:
    trees = mirror.tree_of(base), mirror.tree_of(head)
    if ("difference", *trees) in mirror.kept:
        return difference(mirror, base, head).entries
    return differing_files(mirror.git, mirror.path, mirror.kept, base, head)


def _links(listed: bytes) -> Iterator[bytes]:
    if b"160000 commit " not in listed:
        return
    for line in listed.split(b"\0"):
        if line.startswith(b"160000 "):
            yield line.partition(b"\t")[2]
