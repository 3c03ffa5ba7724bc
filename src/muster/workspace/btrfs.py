"""Workspaces as a snapshot of a subvolume: btrfs, without root, milliseconds at any size.

A snapshot keeps inode numbers and times, so that git's record of the base is one of it too.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from muster.workspace.checkout import INDEX
from muster.workspace.copied import CopiedBackend
from muster.workspace.mount import mounts_below
from muster.workspace.restat import restat
from muster.workspace.sharing import share_tree
from muster.workspace.subvolume import destroy, is_subvolume, make_subvolume, take_snapshot


class BtrfsBackend(CopiedBackend):
    """A subvolume for each base, and a snapshot of it for each workspace."""

    name = "btrfs"

    def available(self, where: Path) -> str:
        """Try it."""
        try:
            with TemporaryDirectory(prefix=".btrfs-", dir=where) as folder:
                made = Path(folder, "made")
                make_subvolume(made)
                take_snapshot(made, Path(folder, "taken"))
        except OSError as error:
            return f"no btrfs subvolumes here: {error.strerror}"
        return ""

    @override
    def make_folder(self, folder: Path) -> None:
        """A base is a subvolume, as only those can be snapshotted."""
        make_subvolume(folder)

    @override
    def bring(self, base: Path, root: Path) -> None:
        """One call; a base that another backend made is cloned file by file."""
        if is_subvolume(base / "tree"):
            take_snapshot(base / "tree", root / "tree")
            # Neither git nor muster writes into an index, each renames a new one over it.
            (root / "control" / INDEX).hardlink_to(base / INDEX)
        else:
            share_tree(base / "tree", root / "tree")
            restat(base / INDEX, root / "tree", root / "control" / INDEX, base.name)

    @override
    def close(self, root: Path) -> None:
        """Let the file system drop it all at once where it lets us; else file by file."""
        tree = root / "tree"
        if is_subvolume(tree) and not mounts_below(tree):
            destroy(tree)
        super().close(root)
