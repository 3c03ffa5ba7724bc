"""A terminal with a command in it, and somebody who types and looks."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from house.patience import PATIENCE


class Window:
    """A terminal with the command in it."""

    def __init__(self, fd: int, process: subprocess.Popen[bytes]) -> None:
        self.fd = fd
        self.process = process
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    @property
    def raw(self) -> bool:
        return not termios.tcgetattr(self.fd)[3] & termios.ICANON

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                try:
                    self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
                except BlockingIOError:
                    await asyncio.sleep(0.02)

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.seen)

    async def ends(self) -> int:
        await self.until(lambda: self.process.poll() is not None)
        return self.process.returncode


@asynccontextmanager
async def opened(line: Sequence[str], columns: int = 72) -> AsyncIterator[Window]:
    """The command on a terminal of its own, so that Ctrl-C interrupts it."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.set_blocking(parent, False)
    process = subprocess.Popen(
        line, stdin=child, stdout=child, stderr=child, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    try:
        yield Window(parent, process)
    finally:
        process.kill()
        process.wait()
        os.close(child)
        os.close(parent)
