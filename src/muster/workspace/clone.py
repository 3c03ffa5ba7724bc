"""Workspaces as a full copy of a commit's files: works everywhere, costs what a checkout costs."""

from __future__ import annotations

from pathlib import Path

from muster.workspace.base import Source
from muster.workspace.checkout import INDEX, check_out
from muster.workspace.git import Git
from muster.workspace.plain_files import PlainFiles, lay_over


class CloneBackend(PlainFiles):
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
        lay_over(layer, tree)
        return tree
