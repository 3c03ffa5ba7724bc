"""What lies between two commits, read from the mirror."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from muster.domain.errors import NotFound
from muster.domain.guard import commit_id, relative_path
from muster.workspace.difference import DIFF, Change, difference, listing
from muster.workspace.git import Answer, failure
from muster.workspace.mirror import Mirror

CUT = "\\ cut here: the rest is longer than what is shown\n"
"""The last line of a patch that was longer than its limit."""

_SHORT = 1024 * 1024
_SECTION = re.compile(rb"^diff --git ", re.MULTILINE)


def changes(mirror: Mirror, base: str, head: str) -> tuple[Change, ...]:
    """The paths that differ from `base` to `head`, in git's order.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    found = difference(mirror, base, head)
    blobs = {entry.path: entry.new for entry in found.entries}

    def with_size(change: Change) -> Change:
        blob = mirror.objects.info(blobs[change.path])
        return replace(change, size=blob.size) if blob else change

    return tuple(with_size(change) if change.binary else change for change in found.changes)


def patch(
    mirror: Mirror, base: str, head: str, path: str, limit: int, old_path: str | None = None
) -> str:
    """The unified diff of one path, at most `limit` bytes and then `CUT`.

    A rename is shown as one when `old_path` is given.

    Raises:
        Invalid: the path leads out of the repository.
        GitFailed: a commit is not in the mirror.
    """
    paths = [relative_path(name) for name in (path, old_path) if name]
    answer = mirror.git.ask(
        mirror.place,
        *(*DIFF, "-M", "-p", commit_id(base), commit_id(head), "--", *paths),
        limit=limit,
    )
    return _text(_checked("diff-tree", answer).out, cut=answer.cut)


def patches(mirror: Mirror, base: str, head: str, limit: int) -> Mapping[str, str]:
    """The unified diff of every changed path, each at most `limit` bytes and then `CUT`.

    Keys are the paths of `changes`.
    """
    found = difference(mirror, base, head)
    names = (change.path for change in found.changes)
    shown: dict[str, str] = {}
    for name, section in zip(names, _sections(found.patch), strict=True):
        shown[name] = _text(section[:limit], cut=len(section) > limit)
    return shown


def _sections(out: bytes) -> list[bytes]:
    """A diff cut at its paths; a file that became a link has two parts with the same header."""
    starts = [found.start() for found in _SECTION.finditer(out)]
    sections: list[bytes] = []
    header = b""
    for start, end in pairwise([*starts, len(out)]):
        section = out[start:end]
        before, header = header, section.partition(b"\n")[0]
        if header == before:
            sections[-1] += section
        else:
            sections.append(section)
    return sections


def added_lines(mirror: Mirror, base: str, head: str, limit: int) -> Mapping[str, str]:
    """The lines that each changed text file gained, as one text per path, from a diff of `limit`.

    Raises:
        GitFailed: a commit is not in the mirror.
    """
    found: dict[str, str] = {}
    for path, text in patches(mirror, base, head, limit).items():
        _, _, hunks = text.partition("\n@@ ")
        lines = [line[1:] for line in hunks.split("\n") if line.startswith("+")]
        if lines:
            found[path] = "\n".join(lines)
    return found


def _text(out: bytes, *, cut: bool) -> str:
    if cut:
        out = out[: out.rfind(b"\n") + 1]
    return out.decode("utf-8", "replace") + (CUT if cut else "")


def _checked(verb: str, answer: Answer) -> Answer:
    if answer.code != 0 and not answer.cut:
        raise failure([verb], answer)
    return answer


def read_file(mirror: Mirror, commit: str, path: str, limit: int) -> bytes:
    """The bytes of a file at a commit, at most `limit`; a link gives the path it names.

    Raises:
        Invalid: the path leads out of the repository.
        NotFound: the commit has no such file.
        GitFailed: the commit is not in the mirror.
    """
    name = f"{commit_id(commit)}:{relative_path(path)}"
    found = mirror.objects.info(name)
    if found is None or found.kind != "blob":
        mirror.tree_of(commit)
        raise NotFound(f"there is no file {path!r} at {commit[:12]}")
    if found.size <= min(limit, _SHORT):
        whole = mirror.objects.read(found.id)
        if whole is not None:
            return whole[1]
    # The one reader is not kept busy with what is long.
    args = ("cat-file", "blob", found.id)
    return _checked(args[0], mirror.git.ask(mirror.place, *args, limit=limit)).out


def is_ancestor(mirror: Mirror, old: str, new: str) -> bool:
    """Whether `new` stands on `old`, or is the same.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    below, above = mirror.commit(commit_id(old)), mirror.commit(commit_id(new))
    if old == new or old in above.parents:
        return True
    if new in below.parents:
        return False
    args = ("merge-base", "--is-ancestor", old, new)
    answer = mirror.git.ask(mirror.place, *args)
    if answer.code not in {0, 1}:
        raise failure(args, answer)
    return answer.code == 0


def paths(mirror: Mirror, commit: str) -> tuple[str, ...]:
    """Every path of a commit, in git's order."""
    listed = listing(mirror, commit).split(b"\0")
    return tuple(os.fsdecode(line.partition(b"\t")[2]) for line in listed if line)
