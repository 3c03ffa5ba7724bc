"""What workspaces have in common that start as a cheap copy of a whole base: plain files after."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from muster.workspace.base import Source
from muster.workspace.checkout import Bases
from muster.workspace.git import Git
from muster.workspace.plain_files import PlainFiles, lay_over
from muster.workspace.standing import HUGE_INDEX, LARGE_INDEX, Starts, in_use


class CopiedBackend(PlainFiles, ABC):
    """The tree is a copy that shares its blocks with a base, until one of them is written."""

    def __init__(
        self,
        git: Git | None = None,
        large_index: int = LARGE_INDEX,
        huge_index: int = HUGE_INDEX,
    ) -> None:
        """From how many bytes of their index on repositories are large, or huge (`Starts`)."""
        self._git = git or Git()
        self._bases = Bases(self._git, self.make_folder)
        self._starts = Starts(self._git, self._bases, large_index, huge_index)

    def make_folder(self, folder: Path) -> None:
        """Make the folder that the files of a base go into."""
        folder.mkdir()

    @abstractmethod
    def bring(self, base: Path, root: Path) -> None:
        """Make `root/tree` a copy of a base's, and `root/control/index` what describes it."""

    def ready(self, source: Source, commit: str) -> None:
        """Make the commit's base, if a workspace would be copied from one of its own."""
        self._starts.make_ready(source, commit)

    def open(
        self,
        source: Source,
        root: Path,
        commit: str,
        near: str | None = None,
        layer: Path | None = None,
    ) -> Path:
        """Copy a base; from a near one the files move on. A layer's files are copied in."""
        self._starts.begin(
            source, commit, near, lambda start: self._open(source, root, start, commit)
        )
        tree = root / "tree"
        lay_over(layer, tree)
        return tree

    def _open(self, source: Source, root: Path, start: str, commit: str) -> None:
        self.close(root)
        with self._bases.hold(source, start) as base:
            (root / "control").mkdir(mode=0o700)
            self.bring(base, root)
        self._bases.prune(source, lambda: in_use(root.parent))
        if start != commit:
            self._starts.move_on(source, root, start, commit)
