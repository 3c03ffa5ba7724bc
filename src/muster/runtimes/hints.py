"""Hints that something was put into a folder, or grew there, from the kernel (inotify).

One descriptor serves all folders of the house. A hint may be missed or come for nothing: whoever
waits for one looks again after a while all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE, _OVERFLOW = 0x2, 0x8, 0x80, 0x100, 0x4000
_ONLY_FOLDERS, _NO_LINKS, _AND_BEFORE = 0x01000000, 0x02000000, 0x20000000
_WANTED = _MOVED_TO | _CLOSE_WRITE | _ONLY_FOLDERS | _NO_LINKS | _AND_BEFORE
_GROWS = _WANTED | _MODIFY | _CREATE
_HEAD = struct.Struct("iIII")


class Came(asyncio.Event):
    """That something came; `sees` says whether the kernel will tell, so that nobody has to look."""

    sees = False

    async def within(self, seconds: float) -> None:
        """Wait until it did, but no longer than this."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait()


class Hints:
    """Sets an event when something is put into one of the folders that are watched for it."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._waiting: dict[int, set[Came]] = {}

    @contextlib.contextmanager
    def of(self, folders: Sequence[Path], *, grows: bool = False) -> Iterator[Came]:
        """An event that is set when something comes into one of these; a hint, no promise.

        `grows`: also when a file there grows.
        """
        came = Came()
        wanted = _GROWS if grows else _WANTED
        watches = [n for folder in folders if (n := self._watch(folder, wanted)) is not None]
        came.sees = len(watches) == len(folders)
        for number in watches:
            self._waiting.setdefault(number, set()).add(came)
        try:
            yield came
        finally:
            for number in watches:
                others = self._waiting.get(number, set())
                others.discard(came)
                if not others and self._waiting.pop(number, None) is not None and self._fd:
                    _libc().inotify_rm_watch(self._fd, number)

    def close(self) -> None:
        """Let go of the descriptor; nothing is told any more."""
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None

    def _watch(self, folder: Path, wanted: int) -> int | None:
        fd = self._opened()
        if fd is None:
            return None
        number = int(_libc().inotify_add_watch(fd, os.fsencode(folder), wanted))
        return number if number >= 0 else None

    def _opened(self) -> int | None:
        if self._fd is None and sys.platform.startswith("linux"):
            fd = int(_libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
            if fd >= 0:
                self._fd = fd
                asyncio.get_running_loop().add_reader(fd, self._read, fd)
        return self._fd

    def _read(self, fd: int) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(fd, 65536)
            at = 0
            while at < len(data):
                number, mask, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size + length
                told = list(self._waiting) if mask & _OVERFLOW else [number]
                for each in told:
                    for came in self._waiting.get(each, ()):
                        came.set()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
