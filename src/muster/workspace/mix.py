"""A commit with another's tests: built in an index of its own, no file is written out."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from muster.domain.guard import matches
from muster.workspace.commits import Author, write_commit
from muster.workspace.difference import Entry, differing
from muster.workspace.git import Place
from muster.workspace.mirror import Mirror

_AUTHOR = Author("muster", "muster@localhost", 946_684_800_000)
"""A fixed time, so that the same mix is the same commit."""


def mixed(mirror: Mirror, commit: str, take_from: str, globs: Sequence[str]) -> str:
    """`commit`, but every path that matches is as in `take_from`: replaced, added or gone.

    A commit that already is so is returned instead of a new one.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    found = differing(mirror, commit, take_from)
    taken = [entry for entry in found if matches(entry.path, globs)]
    if not taken:
        return commit
    if len(taken) == len(found):
        return take_from
    return _made(mirror, commit, take_from, taken)


def with_files(mirror: Mirror, commit: str, take_from: str, paths: Collection[str]) -> str:
    """`commit`, but with just these paths as they are in `take_from`.

    Raises:
        GitFailed: one of them is not in the mirror.
    """
    wanted = frozenset(paths)
    taken = [entry for entry in differing(mirror, commit, take_from) if entry.path in wanted]
    return _made(mirror, commit, take_from, taken) if taken else commit


def _made(mirror: Mirror, commit: str, take_from: str, taken: Sequence[Entry]) -> str:
    tree = _tree(mirror, commit, taken)
    message = f"{commit[:12]} with the tests of {take_from[:12]}\n"
    made = write_commit(mirror, tree, [commit], message, _AUTHOR)
    mirror.keep(f"refs/muster/mixed/{made}", made)
    return made


def _tree(mirror: Mirror, commit: str, taken: Sequence[Entry]) -> str:
    lines = [f"{int(e.new_mode, 8):o} {e.new}\t{e.path}" for e in taken]
    with TemporaryDirectory(prefix=".mix-", dir=mirror.path.parent) as folder:
        place = Place(mirror.path, index=Path(folder) / "index")
        mirror.git.run(place, "read-tree", commit)
        mirror.git.run(
            place,
            *("update-index", "-z", "--index-info"),
            stdin=os.fsencode("\0".join(lines) + "\0"),
        )
        return mirror.git.run(place, "write-tree").decode().strip()
