"""One output stream of a running program: from its pipe, through the redactor, to its file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable

from muster.domain.redact import Redactor
from muster.runtimes.control import Loop
from muster.runtimes.streams import CappedFile

_PIECE = 65536
_PIPE_BYTES = 262144
_TRY_AGAIN = 0.5


class Pump:
    """Moves one stream. `wrote` is told how many bytes were appended.

    When the disk is full nothing more is read: the program waits in its write, and nothing is lost
    if room comes before the run ends.
    """

    def __init__(
        self,
        loop: Loop,
        fd: int,
        file: CappedFile,
        redactor: Redactor,
        wrote: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._file = file
        self._redactor = redactor
        self._wrote = wrote
        self._stuck = b""
        self._ended = False
        self._fd = fd
        os.set_blocking(self._fd, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.due: float | None = None
        """When to call `retry`, on the monotonic clock."""
        loop.add(self._fd, self.move)

    @property
    def over(self) -> bool:
        """Whether the stream has ended and all of it was written."""
        return self._ended and not self._stuck

    @property
    def unwritten(self) -> int:
        """How many bytes wait for room on the disk."""
        return len(self._stuck)

    def move(self) -> bool:
        """Move one piece; False when there is none now."""
        if self._ended or self._stuck:
            return False
        try:
            data = os.read(self._fd, _PIECE)
        except BlockingIOError:
            return False
        if data:
            self._write(self._redactor.feed(data))
        else:
            self._end()
        return True

    def drain(self, most: int) -> None:
        """Move what is in the pipe, but no more than so many pieces."""
        for _ in range(most):
            if not self.move():
                return

    def finish(self) -> None:
        """Take the stream as ended, even if somebody still holds its other end."""
        if self._stuck:
            self.retry()
        if not self._ended:
            self._end()

    def retry(self) -> None:
        """Try again to write what the disk had no room for."""
        self.due = None
        stuck, self._stuck = self._stuck, b""
        self._write(stuck)
        if not self._stuck and not self._ended:
            self._loop.add(self._fd, self.move)

    def close(self) -> None:
        """Make the file durable and let go of everything."""
        with contextlib.suppress(OSError):
            self._file.sync()
        self._file.close()
        self._loop.remove(self._fd)
        os.close(self._fd)

    def _end(self) -> None:
        self._ended = True
        self._loop.remove(self._fd)
        self._write(self._redactor.flush())

    def _write(self, data: bytes) -> None:
        before = self._file.total
        try:
            self._file.write(data)
        except OSError:
            self._stuck = data[self._file.total - before :]
            self._loop.remove(self._fd)
            self.due = time.monotonic() + _TRY_AGAIN
        if grown := self._file.total - before:
            self._wrote(grown)
