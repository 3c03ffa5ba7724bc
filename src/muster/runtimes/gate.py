"""The process that serves a contained run's network: one for each run, replaced when it dies.

It is a child of the run's shim and ends with it, so it needs no server: an agent keeps its network
while the control plane is down. The shim keeps the listening sockets; who asks while the process is
being replaced waits in their queue.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence

from muster.runtimes.beside import end_beside, fork_beside
from muster.runtimes.egress import Rule
from muster.runtimes.proxy import Proxy, Target
from muster.runtimes.refusals import Record

_MOST_DEATHS = 100


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
            end_beside(pid)
        for door in self._doors:
            door.close()

    def _open(self) -> None:
        # Where no process is left, the run has no network.
        self._pid = fork_beside(self._serve, [door.fileno() for door in self._doors])

    def _serve(self) -> None:
        Proxy(self._allowed, Record(self._folder, self._safe)).serve(self._doors)
