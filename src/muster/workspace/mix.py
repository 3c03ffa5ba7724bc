"""A commit with another's tests: built in an index of its own, no file is written out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from muster.domain.guard import commit_id, matches
from muster.workspace.git import Place
from muster.workspace.mirror import Mirror
from muster.workspace.snapshot import Author, write_commit

_AUTHOR = Author("muster", "muster@localhost", 946_684_800_000)
"""A fixed time, so that the same mix is the same commit."""


def mixed(mirror: Mirror, commit: str, take_from: str, globs: Sequence[str]) -> str:
    """`commit`, but every path that matches is as in `take_from`: replaced, added or gone.

    A commit that already is so is returned instead of a new one.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    listed = mirror.git.run(
        mirror.place,
        *("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev"),
        commit_id(commit),
        commit_id(take_from),
    )
    fields = os.fsdecode(listed).split("\0")[:-1]
    entries = list(zip(fields[::2], fields[1::2], strict=True))
    taken = [(how, path) for how, path in entries if matches(path, globs)]
    if not taken:
        return commit
    if len(taken) == len(entries):
        return take_from
    tree = _tree(mirror, commit, taken)
    message = f"{commit[:12]} with the tests of {take_from[:12]}\n"
    made = write_commit(mirror.git, mirror.place, tree, [commit], message, _AUTHOR)
    mirror.keep(f"refs/muster/mixed/{made}", made)
    return made


def _tree(mirror: Mirror, commit: str, taken: list[tuple[str, str]]) -> str:
    lines: list[str] = []
    for how, path in taken:
        _, mode, _, blob, _ = how.split(" ")
        lines.append(f"{mode.removeprefix(':') if mode != '000000' else '0'} {blob}\t{path}")
    with TemporaryDirectory(prefix=".mix-", dir=mirror.path.parent) as folder:
        place = Place(mirror.path, index=Path(folder) / "index")
        mirror.git.run(place, "read-tree", commit)
        mirror.git.run(
            place,
            *("update-index", "-z", "--index-info"),
            stdin=os.fsencode("\0".join(lines) + "\0"),
        )
        return mirror.git.run(place, "write-tree").decode().strip()
