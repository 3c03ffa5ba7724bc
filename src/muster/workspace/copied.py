"""What workspaces have in common that start as a cheap copy of a whole base: plain files after."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from muster.domain.errors import GitFailed
from muster.workspace.base import Source
from muster.workspace.checkout import Bases
from muster.workspace.copying import copy_path
from muster.workspace.git import Git
from muster.workspace.remove import remove_own
from muster.workspace.standing import Starts, in_use

_OWN = ("tree", "control")


class CopiedBackend(ABC):
    """The tree is a copy that shares its blocks with a base, until one of them is written."""

    def __init__(self, git: Git | None = None, large_index: int = 1024 * 1024) -> None:
        """Repositories whose index has `large_index` bytes or more count as large."""
        self._git = git or Git()
        self._bases = Bases(self._git, self.make_folder)
        self._starts = Starts(self._git, self._bases, large_index)

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
        start = self._starts.choose(source, commit, near)
        try:
            self._open(source, root, start, commit)
        except GitFailed:
            if start == commit:
                raise
            self._open(source, root, commit, commit)
        tree = root / "tree"
        for path in sorted(layer.iterdir()) if layer else ():
            copy_path(path, tree / path.name)
        return tree

    def _open(self, source: Source, root: Path, start: str, commit: str) -> None:
        self.close(root)
        with self._bases.hold(source, start) as base:
            (root / "control").mkdir(mode=0o700)
            self.bring(base, root)
        self._bases.prune(source, lambda: in_use(root.parent))
        if start != commit:
            self._starts.move_on(source, root, start, commit)

    def reopen(self, root: Path) -> None:
        """Nothing to do: plain files stay."""
        del root

    def close(self, root: Path) -> None:
        """Remove the files."""
        for name in _OWN:
            remove_own(root / name)

    def touched(self, root: Path) -> list[str] | None:
        """Unknown: plain files do not say who wrote them."""
        del root
        return None
