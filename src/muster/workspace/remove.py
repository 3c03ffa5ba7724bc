"""Removing folders of muster's own: by recorded identity, never through a link or into a mount."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from muster.domain.errors import Conflict, Refused
from muster.workspace.mount import mounts_below
from muster.workspace.subvolume import make_writable

_DEEP = 100
"""Levels that are held open at once; what lies deeper is moved up first."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Identity:
    """Which folder it is: a path alone may be another one tomorrow."""

    device: int
    inode: int

    @classmethod
    def of(cls, folder: Path) -> Identity:
        """The identity of the folder at a path, which must not be a link."""
        found = folder.lstat()
        return cls(found.st_dev, found.st_ino)


def remove_folder(folder: Path, identity: Identity) -> None:
    """Remove a folder and all below it, when it still is the one with this identity.

    Raises:
        Refused: another folder is there now, or a link.
        Conflict: something is mounted below it.
    """
    try:
        parent = os.open(folder.parent, _FOLDER)
    except FileNotFoundError:
        return
    try:
        fd = _open_same(folder, parent, identity)
        if fd is None:
            return
        try:
            _refuse_mounts(folder)
            _empty_all(fd, fd, 0)
        finally:
            os.close(fd)
        os.rmdir(folder.name, dir_fd=parent)
    finally:
        os.close(parent)


def _open_same(folder: Path, parent: int, identity: Identity) -> int | None:
    try:
        fd = os.open(folder.name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{folder} is not removed: it is no folder any more") from error
    found = os.fstat(fd)
    if (found.st_dev, found.st_ino) != (identity.device, identity.inode):
        os.close(fd)
        raise Refused(
            f"{folder} is not removed: it is not the folder that muster made",
            hint="look at it, and remove it by hand if it holds nothing of value",
        )
    return fd


def _refuse_mounts(folder: Path) -> None:
    mounted = mounts_below(folder)
    if mounted:
        raise Conflict(
            f"{folder} is not removed: something is mounted at {mounted[0]}",
            hint=f"unmount it: umount {mounted[0]}",
        )


def _is_empty(fd: int) -> bool:
    # btrfs shows to an open folder what it had when it was last rewound.
    os.lseek(fd, 0, os.SEEK_SET)
    with os.scandir(fd) as entries:
        return next(entries, None) is None


def _empty_all(fd: int, top: int, depth: int) -> None:
    """Empty the top of a tree, or a subvolume below it, until what was moved up is gone too."""
    device = os.fstat(fd).st_dev
    make_writable(fd)
    _allow(fd)
    while not _is_empty(fd):
        _empty(fd, device, (top, fd), depth)


def _empty(fd: int, device: int, tops: tuple[int, int], depth: int) -> None:
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if is_folder:
            _remove_below(fd, name, device, tops, depth)
        else:
            os.unlink(name, dir_fd=fd)


def _remove_below(fd: int, name: str, device: int, tops: tuple[int, int], depth: int) -> None:
    """Remove a folder; `tops` are the top of all, and of the subvolume that `fd` is in."""
    top, nearest = tops
    below = _open_below(fd, name)
    try:
        if os.fstat(below).st_dev == device:
            if depth >= _DEEP:
                # Folders can be nested deeper than descriptors last: a later round finds it on top.
                _move_up(fd, name, nearest)
                return
            _allow(below)
            _empty(below, device, tops, depth + 1)
        elif _mount_of(below) != _mount_of(fd):
            raise Conflict(f"{name!r} is not removed: another file system is mounted there")
        else:
            # A subvolume of btrfs, which anybody may make, and make read-only. Of all folders these
            # alone can be moved from one to another; each is emptied right below the top.
            make_writable(below)
            if fd != top:
                _move_up(fd, name, top)
                return
            _empty_all(below, top, 1)
    finally:
        os.close(below)
    os.rmdir(name, dir_fd=fd)


def _move_up(fd: int, name: str, to: int) -> None:
    os.rename(name, f".deep-{secrets.token_hex(6)}", src_dir_fd=fd, dst_dir_fd=to)


def _mount_of(fd: int) -> str:
    """The mount that an open folder is in; where the system does not tell, each is its own."""
    try:
        facts = Path(f"/proc/self/fdinfo/{fd}").read_text("ascii")
    except OSError:
        return f"unknown {fd}"
    return next(line for line in facts.splitlines() if line.startswith("mnt_id:"))


def _open_below(fd: int, name: str) -> int:
    """Open a folder for emptying, also one whose owner took away all rights to it."""
    try:
        below = os.open(name, _FOLDER, dir_fd=fd)
    except PermissionError:
        os.chmod(name, stat.S_IRWXU, dir_fd=fd)
        below = os.open(name, _FOLDER, dir_fd=fd)
    return below


def _allow(fd: int) -> None:
    if os.fstat(fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.fchmod(fd, stat.S_IRWXU)


def remove_own(folder: Path) -> None:
    """Remove a folder inside one whose identity was checked; nothing when it is not there."""
    try:
        identity = Identity.of(folder)
    except FileNotFoundError:
        return
    remove_folder(folder, identity)
