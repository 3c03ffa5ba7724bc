"""What lies between two commits, read from the mirror."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from muster.domain.errors import NotFound
from muster.domain.guard import commit_id, relative_path
from muster.workspace.git import Answer, failure
from muster.workspace.mirror import Mirror

CUT = "\\ cut here: the rest is longer than what is shown\n"
"""The last line of a patch that was longer than its limit."""

_STATUS = {"A": "added", "M": "modified", "D": "deleted", "R": "renamed", "T": "modified"}
_DIFF = ("diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
_SECTION = re.compile(rb"^diff --git ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """One changed path: `status` is added, modified, deleted or renamed (then with `old_path`).

    `added` and `removed` count lines; a `binary` file has none. Names that are no UTF-8 hold
    surrogate escapes.
    """

    path: str
    old_path: str | None
    status: str
    added: int
    removed: int
    binary: bool


def changes(mirror: Mirror, base: str, head: str) -> tuple[Change, ...]:
    """The paths that differ from `base` to `head`, in git's order.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    out = mirror.git.run(
        mirror.place, *_DIFF, "-M", "--raw", "--numstat", "-z", commit_id(base), commit_id(head)
    )
    return tuple(_changes(os.fsdecode(out).split("\0")))


def _changes(fields: list[str]) -> Iterator[Change]:
    """Parse --raw entries (`:modes ids S`, paths), then --numstat entries, all NUL-separated."""
    kinds: dict[str, str] = {}
    at = 0
    while fields[at].startswith(":"):
        kind = fields[at].split(" ")[-1][0]
        at += 3 if kind == "R" else 2
        kinds[fields[at - 1]] = _STATUS[kind]
    while fields[at]:
        added, removed, path = fields[at].split("\t", 2)
        old = None
        at += 1
        if not path:
            old, path = fields[at], fields[at + 1]
            at += 2
        binary = added == "-"
        yield Change(
            path,
            old,
            kinds[path],
            0 if binary else int(added),
            0 if binary else int(removed),
            binary,
        )


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
        *(*_DIFF, "-M", "-p", commit_id(base), commit_id(head), "--", *paths),
        limit=limit,
    )
    return _text(_checked("diff-tree", answer).out, cut=answer.cut)


def patches(mirror: Mirror, base: str, head: str, limit: int) -> Mapping[str, str]:
    """The unified diff of every changed path, each at most `limit` bytes and then `CUT`.

    One process for all of them; keys are the paths of `changes`.
    """
    out = mirror.git.run(mirror.place, *_DIFF, "-M", "-p", commit_id(base), commit_id(head))
    sections = _sections(out)
    names = (change.path for change in changes(mirror, base, head))
    shown: dict[str, str] = {}
    for name, section in zip(names, sections, strict=True):
        shown[name] = _text(section[:limit], cut=len(section) > limit)
    return shown


def _sections(out: bytes) -> list[bytes]:
    """A diff cut at its paths; a file that became a link has two parts with the same header."""
    starts = [found.start() for found in _SECTION.finditer(out)]
    sections: list[bytes] = []
    header = b""
    for start, end in zip(starts, [*starts[1:], len(out)], strict=True):
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
    answer = mirror.git.ask(mirror.place, "cat-file", "blob", name, limit=limit)
    if answer.code != 0 and not answer.cut:
        mirror.tree_of(commit)
        raise NotFound(f"there is no file {path!r} at {commit[:12]}")
    return answer.out


def is_ancestor(mirror: Mirror, old: str, new: str) -> bool:
    """Whether `new` stands on `old`, or is the same.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    args = ("merge-base", "--is-ancestor", commit_id(old), commit_id(new))
    answer = mirror.git.ask(mirror.place, *args)
    if answer.code not in {0, 1}:
        raise failure(args, answer)
    return answer.code == 0


def paths(mirror: Mirror, commit: str) -> tuple[str, ...]:
    """Every path of a commit, in git's order."""
    out = mirror.git.run(mirror.place, "ls-tree", "-r", "-z", "--name-only", commit_id(commit))
    return tuple(p.decode("utf-8", "surrogateescape") for p in out.split(b"\0") if p)
