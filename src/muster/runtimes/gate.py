"""The process that serves a contained run's network: one for each run, replaced when it dies.

It is a child of the run's shim and ends with it, so it needs no server: an agent keeps its network
while the control plane is down. The shim keeps the listening sockets; who asks while the process is
being replaced waits in their queue.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

from muster.runtimes.egress import Rule
from muster.runtimes.proxy import Proxy, Target
from muster.runtimes.refusals import Record

_PR_SET_PDEATHSIG = 1
_MOST_DEATHS = 100
_HIGHEST = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


class Gate:
    """The sockets of one run's network, and the process that serves them."""

    def __init__(
        self,
        doors: Mapping[socket.socket, Target | None],
        allowed: Sequence[Rule],
        folder: str,
        safe: Callable[[bytes], bytes],
    ) -> None:
        self._doors = doors
        self._allowed = allowed
        self._folder = folder
        self._safe = safe
        self._deaths = 0
        self._pid: int | None = None
        self._open()

    def reaped(self, pid: int) -> None:
        """A child of the shim has ended; if it was this one, another takes its place."""
        if pid != self._pid:
            return
        self._pid = None
        self._deaths += 1
        if self._deaths <= _MOST_DEATHS:
            self._open()

    def close(self) -> None:
        """End it."""
        pid, self._pid = self._pid, None
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        for door in self._doors:
            door.close()

    def _open(self) -> None:
        shim = os.getpid()
        with contextlib.suppress(OSError):  # no process is left: the run has no network
            self._pid = os.fork()
        if self._pid == 0:
            try:
                self._serve(shim)
            finally:
                os._exit(1)

    def _serve(self, shim: int) -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != shim:
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # It holds neither the run's lock nor its pipes: they tell others that the shim is there.
        at = 3
        for fd in sorted(door.fileno() for door in self._doors):
            os.closerange(at, fd)
            at = fd + 1
        os.closerange(at, _HIGHEST)
        Proxy(self._allowed, Record(self._folder, self._safe)).serve(self._doors)
