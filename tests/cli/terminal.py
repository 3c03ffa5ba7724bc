"""A command on a real terminal of 60 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios

from tests.client.loopback import TOKEN, Loopback

from house.patience import PATIENCE


def on_terminal(
    server: Loopback, *args: str, env: dict[str, str] | None = None, typed: str = ""
) -> tuple[int, str]:
    """How it ended and all that was seen."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    line = [sys.executable, "-m", "muster", "--url", server.url, "--token", TOKEN, *args]
    surroundings = {**os.environ, **(env or {})}
    with subprocess.Popen(
        line, stdout=child, stderr=child, stdin=child, env=surroundings
    ) as process:
        os.close(child)
        os.write(parent, typed.encode())
        said = b""
        try:
            while select.select([parent], [], [], PATIENCE)[0] and (piece := _read(parent)):
                said += piece
            process.wait(PATIENCE)
        finally:
            process.kill()
            os.close(parent)
    return process.returncode, said.decode().replace("\r\n", "\n")


def _read(parent: int) -> bytes:
    try:
        return os.read(parent, 65536)
    except OSError:  # the other end is closed
        return b""
