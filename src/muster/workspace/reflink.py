"""Workspaces as a copy of files that share their blocks: XFS, btrfs and others, without root.

A copy costs a few system calls per file and no data. Folders are renamed as anywhere, everybody
sees the files, and nothing has to be mounted.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from muster.workspace.checkout import INDEX
from muster.workspace.copied import CopiedBackend
from muster.workspace.restat import restat
from muster.workspace.sharing import share_file, share_tree


class ReflinkBackend(CopiedBackend):
    """Each file of a base cloned by the file system."""

    name = "reflink"

    def available(self, where: Path) -> str:
        """Try it: only some file systems can, and some only if they were made so."""
        try:
            with TemporaryDirectory(prefix=".reflink-", dir=where) as folder:
                original = Path(folder, "original")
                original.write_bytes(b"x" * 4096)
                share_file(original, Path(folder, "copy"))
        except OSError as error:
            return f"files cannot share their blocks here: {error.strerror}"
        return ""

    @override
    def bring(self, base: Path, root: Path) -> None:
        """Clone file by file."""
        share_tree(base / "tree", root / "tree")
        restat(base / INDEX, root / "tree", root / "control" / INDEX, base.name)
