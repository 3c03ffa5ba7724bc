"""Copies of a base whose files share their blocks with it until one is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from muster.workspace.copying import share_blocks

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def share_file(source: Path | str, target: Path | str) -> None:
    """Make `target` the same bytes, mode and times as `source`.

    Raises:
        OSError: the file system cannot share blocks, or there is no room.
    """
    read = os.open(source, _READ)
    try:
        found = os.fstat(read)
        write = os.open(target, _WRITE, stat.S_IMODE(found.st_mode))
        try:
            if found.st_size:
                share_blocks(read, write)
            os.fchmod(write, stat.S_IMODE(found.st_mode))
            os.utime(write, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(write)
    finally:
        os.close(read)


def share_tree(source: Path, target: Path) -> None:
    """Make `target` a copy of a base's files: regular ones, links and folders are all there is.

    Raises:
        OSError: the file system cannot share blocks, or there is no room.
    """
    target.mkdir()
    folders = [(str(source), str(target))]
    while folders:
        here, there = folders.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                to = f"{there}/{entry.name}"
                if entry.is_symlink():
                    _copy_link(entry, to)
                elif entry.is_dir(follow_symlinks=False):
                    # By the kernel's mask, as git makes them.
                    Path(to).mkdir()
                    folders.append((entry.path, to))
                else:
                    share_file(entry.path, to)


def _copy_link(entry: os.DirEntry[str], to: str) -> None:
    found = entry.stat(follow_symlinks=False)
    Path(to).symlink_to(Path(entry.path).readlink())
    os.utime(to, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)
