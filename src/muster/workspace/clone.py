"""Workspaces as a full copy of a commit's files: works everywhere, costs what a checkout costs."""

from __future__ import annotations

from pathlib import Path

from muster.workspace.base import Source
from muster.workspace.checkout import INDEX, check_out
from muster.workspace.copying import copy_path
from muster.workspace.git import Git
from muster.workspace.remove import remove_own

_OWN = ("tree", "control")


class CloneBackend:
    """Files written out by the control plane's git; nothing is shared with other workspaces."""

    name = "clone"

    def __init__(self, git: Git | None = None) -> None:
        self._git = git or Git()

    def available(self, where: Path) -> str:
        """Always: it needs a writable folder and git."""
        del where
        return ""

    def ready(self, source: Source, commit: str) -> None:
        """Nothing: what is copied for one workspace is of no use to another."""

    def open(
        self,
        source: Source,
        root: Path,
        commit: str,
        near: str | None = None,
        layer: Path | None = None,
    ) -> Path:
        """Check the commit out; `near` saves nothing here, a layer's files are copied in."""
        del near
        self.close(root)
        control, tree = root / "control", root / "tree"
        control.mkdir(mode=0o700)
        check_out(self._git, source.mirror, commit, tree, control / INDEX)
        for path in sorted(layer.iterdir()) if layer else ():
            copy_path(path, tree / path.name)
        return tree

    def reopen(self, root: Path) -> None:
        """Nothing to do: plain files stay."""

    def close(self, root: Path) -> None:
        """Remove the files."""
        for name in _OWN:
            remove_own(root / name)

    def touched(self, root: Path) -> list[str] | None:
        """Unknown: plain files do not say who wrote them."""
        del root
        return None
