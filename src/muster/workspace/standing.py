"""From which shared checkout a workspace starts, and how its files move on to the commit wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from muster.domain.errors import GitFailed
from muster.domain.guard import commit_id
from muster.workspace.base import Source
from muster.workspace.checkout import INDEX, Bases
from muster.workspace.git import Git, Place
from muster.workspace.records import read_record
from muster.workspace.step import Steps

T = TypeVar("T")

LAYERS = "overlay.json"
"""What a workspace that stands on bases has in its root: which, as `lower`."""

LARGE_INDEX = 24 * 1024
"""Bytes; about 300 files. To write out so many takes longer than to move four workspaces on."""

HUGE_INDEX = 256 * 1024
"""Bytes; about 3,000 files. Below, one process of git moves on what it takes two to step over."""

_TRIED = 2
_FEW_PATHS = 256
"""So many bases are compared, and so few paths may differ, before a base of its own is made."""


class Starts:
    """Chooses bases for the workspaces of one backend."""

    def __init__(
        self,
        git: Git,
        bases: Bases,
        large_index: int = LARGE_INDEX,
        huge_index: int = HUGE_INDEX,
    ) -> None:
        """Repositories whose index has `large_index` bytes or more count as large.

        From `huge_index` on git does not move the whole of it on.
        """
        self._git = git
        self._bases = bases
        self._large_index = large_index
        self._huge_index = huge_index
        self._steps = Steps(git)

    def choose(self, source: Source, commit: str, near: str | None) -> str:
        """The base to start from: the commit's own, one that differs little, or the near one.

        The near one is made when need be: it serves others too, and may be on its way already.

        A repository of more than some files gets no base of its own for each step of a branch:
        writing out all of them takes longer, and more room, than moving on those that differ.
        """
        if self._bases.find(source, commit):
            return commit
        if near and self._bases.find(source, near):
            return near
        for base in self._bases.recent(source)[:_TRIED]:
            large = (base / INDEX).stat().st_size >= self._large_index
            if large and self._differ_little(source, base.name, commit):
                return base.name
        return near or commit

    def begin(self, source: Source, commit: str, near: str | None, make: Callable[[str], T]) -> T:
        """What `make` makes of the base to start from, else of the commit's own.

        Moving on from another one can fail, as when a layer fits the commit but hides its files.
        """
        start = self.choose(source, commit, near)
        try:
            return make(start)
        except GitFailed:
            if start == commit:
                raise
            return make(commit)

    def make_ready(self, source: Source, commit: str) -> None:
        """Make the commit's base, if a workspace would start from one of its own."""
        if self.choose(source, commit, None) == commit:
            with self._bases.hold(source, commit):
                pass

    def move_on(self, source: Source, root: Path, start: str, commit: str) -> None:
        """Bring a tree and its index from one commit to another."""
        index = root / "control" / INDEX
        place = Place(source.mirror, root / "tree", index)
        if index.stat().st_size >= self._huge_index and self._steps.take(
            source, place, start, commit
        ):
            return
        self._git.run(place, "read-tree", "-m", "-u", start, commit)

    def _differ_little(self, source: Source, base: str, commit: str) -> bool:
        listed = self._git.run(
            Place(source.mirror),
            *("diff-tree", "-r", "-z", "--name-only", commit_id(base), commit_id(commit)),
        )
        return listed.count(b"\0") <= _FEW_PATHS


def in_use(spaces: Path) -> set[Path]:
    """The bases below the workspaces that are beside each other in `spaces`."""
    records = (read_record(path) or {"lower": []} for path in spaces.glob(f"*/{LAYERS}"))
    return {Path(path).parent for record in records for path in record["lower"]}
