"""btrfs subvolumes, by ioctl(2): made, snapshotted and dropped, by no program and without root."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from pathlib import Path

_CREATE, _SNAPSHOT, _DESTROY = 0x5000940E, 0x50009401, 0x5000940F
_SET_FLAGS = 0x4008941A
_NAME = 4088
_ROOT_INODE = 256
"""The inode number of every subvolume's root, and on btrfs of nothing else."""


def make_subvolume(folder: Path) -> None:
    """Make an empty subvolume.

    Raises:
        OSError: not on btrfs, or no room.
    """
    _order(_CREATE, folder)


def take_snapshot(source: Path, folder: Path) -> None:
    """Make a subvolume that holds what `source` holds, which must be one.

    Raises:
        OSError: it is none, or no room.
    """
    held = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _order(_SNAPSHOT, folder, held)
    finally:
        os.close(held)


def destroy(folder: Path) -> bool:
    """Drop a subvolume with all its files; False when that is not allowed, or others are in it."""
    try:
        _order(_DESTROY, folder)
    except OSError:
        return False
    return True


def is_subvolume(folder: Path) -> bool:
    """Whether a path is the root of a subvolume and no link to one; asked on btrfs only."""
    try:
        found = folder.lstat()
        above = folder.parent.lstat()
    except OSError:
        return False
    is_root = stat.S_ISDIR(found.st_mode) and found.st_ino == _ROOT_INODE
    return is_root and found.st_dev != above.st_dev


def make_writable(fd: int) -> None:
    """Take back that a subvolume may only be read; nothing when `fd` is no subvolume."""
    try:
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("=Q", 0))
    except OSError:
        # What really stands in the way is told by the removal that follows.
        return


def _order(what: int, folder: Path, source: int = 0) -> None:
    name = os.fsencode(folder.name)
    parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(parent, what, bytearray(struct.pack(f"=q{_NAME}s", source, name)))
    finally:
        os.close(parent)
