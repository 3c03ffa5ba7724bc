"""What every way of making a workspace must be able to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from muster.workspace.kept import Kept

_MOST_KEPT = 1024 * 1024
"""Bytes, where nobody else keeps answers about the same commits."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tree of files at a commit, for one agent or one check.

    `tree` is the directory that programs work in; `root` holds it and what belongs to it. `ports`
    is the first port of the leased range and how many there are. Recorded in `root/record.json`.
    """

    id: str
    repo_id: str
    backend: str
    root: Path
    tree: Path
    commit: str
    ports: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Source:
    """A repository as the control plane reads it: its own bare mirror.

    `bases` holds one immutable checkout per commit, shared by the workspaces on it. `kept` are
    answers about its commits.
    """

    repo_id: str
    mirror: Path
    bases: Path
    kept: Kept = field(default_factory=lambda: Kept(_MOST_KEPT), compare=False)


class Backend(Protocol):
    """One way to put a commit's files into a directory. Blocking calls; run them in a thread."""

    name: str

    def available(self, where: Path) -> str:
        """An empty string when workspaces can be made under `where`, else the reason why not."""
        ...

    def ready(self, source: Source, commit: str) -> None:
        """Make ahead of time what opening at `commit` will need, if anything; nobody waits."""
        ...

    def open(
        self,
        source: Source,
        root: Path,
        commit: str,
        near: str | None = None,
        layer: Path | None = None,
    ) -> Path:
        """Make `root/…` hold the files of `commit` and return the tree; redo an unfinished.

        `near` is a commit that is already checked out for others and differs little: a backend
        may start from it. `layer` is a folder whose files are laid under the tree's. git's
        record of the files is left as `root/control/index`.
        """
        ...

    def reopen(self, root: Path) -> None:
        """Bring a workspace of an earlier process or boot back into view (mounts)."""
        ...

    def close(self, root: Path) -> None:
        """Take the tree out of view and remove what this backend made under `root`."""
        ...

    def grows(self, root: Path) -> Path:
        """The folder in which what is written into the tree comes to lie: the tree, or a layer."""
        ...

    def touched(self, root: Path) -> list[str] | None:
        """Paths at or below which anything may differ from what was opened; None: look."""
        ...
