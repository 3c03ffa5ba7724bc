"""The log of a server that runs on its own: a file that stays small and may be moved away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

MOST_BYTES = 10_000_000
KEPT = 5
"""How many older files there are beside the one that is written: `server.log.1` is the newest."""


def leads_to(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


class LogFile:
    """A stream that looks before each line where it writes, so that no line is lost.

    Whoever renames the file, or cuts it, gets a new one at the same path with the next line; a
    larger one than `most` bytes is put aside first. Nothing is kept back in memory.
    """

    def __init__(
        self,
        path: Path,
        stands_for: Iterable[int] = (),
        most: int = MOST_BYTES,
        kept: int = KEPT,
    ) -> None:
        """`stands_for` are open files, standard error among them, that lead to the same place."""
        self.path = path
        self._stands_for = tuple(stands_for)
        self._most = most
        self._kept = kept
        self._fd = -1
        self._open()

    def write(self, text: str) -> int:
        """Append a line."""
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        # In a home that can no longer be written the file from before is better than none.
        with contextlib.suppress(OSError):
            self._look(len(data))
        while data:
            data = data[os.write(self._fd, data) :]
        return len(text)

    def flush(self) -> None:
        """Nothing to do: a line that was written is out of this process."""

    def close(self) -> None:
        """Let go of the file, but not of what stands for it."""
        os.close(self._fd)

    def _look(self, coming: int) -> None:
        """Find the file of the path again, and begin another one if it would become too large."""
        if not leads_to(self._fd, self.path):
            self._open()
        size = os.fstat(self._fd).st_size
        if size and size + coming > self._most:
            put_aside(self.path, self._kept)
            self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        fresh = os.open(self.path, flags, 0o600)
        for descriptor in self._stands_for:
            os.dup2(fresh, descriptor)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fresh


def put_aside(path: Path, kept: int) -> None:
    """Rename a log to its `.1`, and older ones to the next number; the one beyond `kept` goes.

    Only as far as names are taken: whoever died in the middle left a gap, which is filled first.
    """
    names = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, kept + 1))]
    free = next((n for n, name in enumerate(names) if not name.exists()), kept)
    for n in range(free, 0, -1):
        names[n - 1].replace(names[n])
