"""A decoy of a container engine's socket: it answers that there is none, and that is told.

A connection opens no file, so nothing but a socket that listens hears of it.
"""

from __future__ import annotations

import contextlib
import os
import socket

from muster.runtimes.tripwires import Report

ENGINE = "engine"
PLACE = "/run/docker.sock"
"""Where it stands, and `LINKS` lead to it."""
LINKS = ("/run/containerd/containerd.sock", "/run/podman/podman.sock")
_WHY = "it called a decoy of the socket of a container engine"
_SAID = b'{"message":"muster: a contained run has no container engine"}\n'
_ANSWER = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SAID), _SAID)
)
_MOST = 100


class EngineDecoy:
    """The listening socket; the first who calls is told of, and the rest are answered."""

    def __init__(self, path: str, report: Report) -> None:
        """`path` is short: the kernel takes no more than 107 bytes."""
        self._path = path
        self._report = report
        self._answered = 0
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - pathlib is too heavy for the shim
        self._door.bind(path)
        self._door.listen(8)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._door.fileno()

    def hear(self) -> bool:
        """Answer who has called; False when nobody is answered any more."""
        while self._answered < _MOST:
            try:
                client, _ = self._door.accept()
            except BlockingIOError:
                return True
            except OSError:
                break
            with client, contextlib.suppress(OSError):
                client.setblocking(False)
                client.send(_ANSWER)
            if not self._answered:
                self._report(ENGINE, PLACE, 1, _WHY)
            self._answered += 1
        return False

    def close(self) -> None:
        """Hear the last and let go."""
        self.hear()
        self._door.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108
