"""How much room a run takes on the disk: what lies in its folders and was written since it began.

What counts is what the file system gave (`st_blocks`), not how long a file says it is. The time of
a file's last change (`ctime`) tells what was there before: no program can set it. A file that has
lost its name takes room as long as a process has it open, so those are counted too. What is held
otherwise without a name, by a memory mapping or on its way through a socket, is not seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable, Iterator

LEAST, _NAME = 4096, 1024
"""What a file costs at least, and a further name of one: a disk runs out of files, too."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SUBVOLUME = 256
"""The inode of each subvolume of btrfs, which looks like a file system of its own."""
_CLONE_NEWUSER = 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)


def outermost(paths: Iterable[str]) -> list[str]:
    """The folders that are inside none of the others; the root folder is no run's own."""
    found: list[str] = []
    for path in sorted({os.path.normpath(path) for path in paths} - {"/"}):
        if not any(path.startswith(f"{outer}/") for outer in found):
            found.append(path)
    return found


def in_folders(folders: Iterable[str], since: float, enough: int) -> int:
    """The bytes that were written below these folders since; counting stops above `enough`."""
    total = 0
    for folder in folders:
        for seen in _below(folder):
            total += _room(seen, since)
            if total > enough:
                return total
    return total


def _room(seen: os.stat_result, since: float) -> int:
    if seen.st_ctime < since:
        return 0
    room = max(seen.st_blocks * 512, LEAST)
    if stat.S_ISDIR(seen.st_mode) or seen.st_nlink < 2:
        return room
    return max(room // seen.st_nlink, _NAME)


def _below(folder: str) -> Iterator[os.stat_result]:
    """Everything in a folder and below it on its own file system; no link is followed.

    Each folder is opened in the one above it, so that no path is too long and none can be put in
    another's place.
    """
    levels: list[_Level] = []
    try:
        with contextlib.suppress(OSError):
            levels.append(_Level(folder))
        while levels:
            level = levels[-1]
            entry = next(level.entries, None)
            if entry is None:
                levels.pop().close()
                continue
            with contextlib.suppress(OSError):  # it is gone by now, or shut to us
                seen = entry.stat(follow_symlinks=False)
                yield seen
                if stat.S_ISDIR(seen.st_mode) and _is_inside(seen, level):
                    levels.append(_Level(entry.name, level.fd))
    finally:
        for level in levels:
            level.close()


class _Level:
    """An open folder, and what of it was not looked at yet."""

    def __init__(self, name: str, above: int | None = None) -> None:
        self.fd = os.open(name, _FOLDER, dir_fd=above)
        try:
            self.device = os.fstat(self.fd).st_dev
            self.entries = os.scandir(self.fd)
        except OSError:
            os.close(self.fd)
            raise

    def close(self) -> None:
        """Let go of it."""
        self.entries.close()
        os.close(self.fd)


def _is_inside(seen: os.stat_result, level: _Level) -> bool:
    return seen.st_dev == level.device or seen.st_ino == _SUBVOLUME


def without_name(pids: Iterable[int], folders: Iterable[str]) -> int:
    """The bytes of files that these processes have open and that no folder names any more.

    Only those on the file systems of `folders`: others are in memory, and count as memory.
    """
    devices = set()
    for folder in folders:
        with contextlib.suppress(OSError):
            devices.add(os.stat(folder).st_dev)  # noqa: PTH116 - pathlib is too heavy for the shim
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        for seen in _open_files(pid):
            if seen.st_nlink == 0 and stat.S_ISREG(seen.st_mode) and seen.st_dev in devices:
                found[seen.st_dev, seen.st_ino] = seen.st_blocks * 512
    return sum(found.values())


def _open_files(pid: int) -> Iterator[os.stat_result]:
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):  # closed by now
                yield os.stat(f"/proc/{pid}/fd/{name}")  # noqa: PTH116


def see_what_is_shut() -> None:
    """Let this process read folders that their owner, its own user, has shut to everybody.

    It does so as the root of a user namespace, where the kernel allows one. From there it sees
    nothing of processes elsewhere any more.
    """
    user, group = os.getuid(), os.getgid()
    if user == 0 or _libc.unshare(_CLONE_NEWUSER) != 0:
        return
    maps = {"setgroups": "deny", "gid_map": f"0 {group} 1", "uid_map": f"0 {user} 1"}
    with contextlib.suppress(OSError):  # a system that lets it in but gives it no rights there
        for name, text in maps.items():
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
                file.write(text)
