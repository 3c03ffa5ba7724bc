"""Real disks of other kinds, in files that are mounted for the tests of one module."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from house.parts import make_disk
from muster.workspace.mount import mounts_below, unmount


@contextlib.contextmanager
def disk(kind: str) -> Iterator[Path]:
    """A folder on a disk of its own, `btrfs` or `xfs`."""
    with tempfile.TemporaryDirectory(prefix="mu-") as folder:
        image, at = Path(folder, "image"), Path(folder, "at")
        at.mkdir()
        assert make_disk(kind, image) == ""
        subprocess.run(["mount", "-o", "loop", image, at], check=True)
        try:
            yield at
        finally:
            # Lazily: a mount below may be gone only a moment later.
            subprocess.run(["umount", "--recursive", "--lazy", at], check=True)


def unmount_below(folder: Path) -> None:
    """Let go of what is mounted below a folder, innermost first."""
    for point in mounts_below(folder):
        unmount(point)
