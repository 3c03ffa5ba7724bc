"""Copies of whole folders that share nothing with the original: reflinks where the disk can."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from pathlib import Path

_FICLONE = 0x40049409


def share_blocks(read: int, write: int) -> None:
    """Let an open file hold what another holds, without copying it.

    Raises:
        OSError: the file system cannot, or there is no room.
    """
    fcntl.ioctl(write, _FICLONE, read)


def copy_file(source: str, target: str) -> str:
    """Copy a file's bytes, mode and times; a link is copied as a link. Never a hard link."""
    if Path(source).is_symlink() or not _reflink(source, target):
        return str(shutil.copy2(source, target, follow_symlinks=False))
    shutil.copystat(source, target, follow_symlinks=False)
    return target


def _reflink(source: str, target: str) -> bool:
    """Share the blocks, copied on write, where the file system can; else leave an empty file."""
    with Path(source).open("rb") as read, Path(target).open("wb") as write:
        try:
            share_blocks(read.fileno(), write.fileno())
        except OSError:
            return False
    return True


def copy_path(source: Path, target: Path) -> None:
    """Copy a file, a link or a whole folder; sockets, pipes and devices are left out."""
    mode = source.lstat().st_mode
    if stat.S_ISDIR(mode):
        shutil.copytree(
            source,
            target,
            symlinks=True,
            ignore=_special_files,
            copy_function=copy_file,
            dirs_exist_ok=True,
        )
    elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(str(source), str(target))


def _special_files(folder: str, names: list[str]) -> set[str]:
    modes = {name: os.lstat(f"{folder}/{name}").st_mode for name in names}
    ordinary = (stat.S_ISDIR, stat.S_ISREG, stat.S_ISLNK)
    return {name for name, mode in modes.items() if not any(is_(mode) for is_ in ordinary)}
