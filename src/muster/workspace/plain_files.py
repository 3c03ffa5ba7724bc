"""What workspaces of plain files have in common: they stay as they are, and say not who wrote."""

from __future__ import annotations

from pathlib import Path

from muster.workspace.copying import copy_path
from muster.workspace.remove import remove_own

_OWN = ("tree", "control")


class PlainFiles:
    """The part of a backend that does not depend on how the files came to be there."""

    def reopen(self, root: Path) -> None:
        """Nothing to do: plain files stay."""
        del root

    def close(self, root: Path) -> None:
        """Remove the files."""
        for name in _OWN:
            remove_own(root / name)

    def grows(self, root: Path) -> Path:
        """The tree itself."""
        return root / "tree"

    def touched(self, root: Path) -> list[str] | None:
        """Unknown: plain files do not say who wrote them."""
        del root
        return None


def lay_over(layer: Path | None, tree: Path) -> None:
    """Copy what a layer holds into a tree."""
    for path in sorted(layer.iterdir()) if layer else ():
        copy_path(path, tree / path.name)
