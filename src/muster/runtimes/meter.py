"""The eyes of a shim on the disk: is the run still below its limit?

A look counts all files of the run, in a process of its own that has the lowest priority. How often:
at least every half a minute, unless that would cost more than a hundredth of a processor; and soon
when so much of the disk went since the last look that the run may be near its limit. What is free
is asked every few seconds, which costs nothing.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from muster.runtimes import leftovers, written
from muster.runtimes.beside import end_beside, fork_beside
from muster.runtimes.control import Loop
from muster.runtimes.leftovers import Traces

_FOUND = struct.Struct("<Qd")
"""What a look says: the bytes it found, and the processor time that it took."""
_FASTEST = 4e9
"""Bytes a second that no disk writes; by this the next question after its room is put off."""
_SOONEST, _LATEST = 0.5, 5.0
_REGULAR, _REST, _SHORT_REST, _LONGEST_REST = 30.0, 100, 10, 60.0
_GIVEN_UP = 900.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a run may take of the disk: so many bytes in these folders since it began.

    Without a limit nobody looks.
    """

    folders: Sequence[str]
    limit: int | None
    since: float


class Meter:
    """Looks after one run; `due` is when `tick` is to be called, as of time.monotonic()."""

    def __init__(
        self, loop: Loop, allowance: Allowance, traces: Traces, full: Callable[[], None]
    ) -> None:
        """`full` is called once the run is over its limit."""
        self._loop = loop
        self._allowed = allowance
        self._traces = traces
        self._full = full
        self._limit = allowance.limit or 0
        self._taken = 0
        self._free = self._room()
        self._look: tuple[int, int] | None = None  # its process, and the pipe from it
        self._ended: int | None = None
        now = time.monotonic()
        self._began = self._early = now
        self._regular = now + _REGULAR
        self.due = now + self._pause() if allowance.limit is not None else None

    def tick(self, now: float) -> None:
        """Look if it is time to."""
        self.due = now + self._pause()
        if self._look is not None:
            if now - self._began > _GIVEN_UP and self._look[0] != self._ended:
                os.kill(self._look[0], signal.SIGKILL)  # a file system does not answer
        elif now >= self._regular or (now >= self._early and self._fills()):
            self._begin(now)

    def reaped(self, pid: int) -> None:
        """A child of the shim has ended: its number may be another's from now on."""
        if self._look is not None and self._look[0] == pid:
            self._ended = pid

    def close(self) -> None:
        """Look no more."""
        self.due = None
        self._let_go()

    def told(self) -> str:
        """Of a run that is over its limit, in words."""
        return f"it took more than {self._limit / 1e6:.0f} MB of the disk"

    def _left(self) -> int:
        return max(0, self._limit - self._taken)

    def _pause(self) -> float:
        return min(max(_SOONEST, self._left() / _FASTEST), _LATEST)

    def _room(self) -> dict[int, int]:
        """What is free now of each file system that the run writes to, in bytes and in files."""
        found = {}
        for folder in self._allowed.folders:
            with contextlib.suppress(OSError):
                said = os.statvfs(folder)
                room = said.f_bfree * said.f_frsize + said.f_ffree * written.LEAST
                found[said.f_fsid] = room
        return found

    def _fills(self) -> bool:
        """Whether half of what the run may take still was taken by somebody since the last look."""
        now = self._room()
        gone = sum(max(0, was - now.get(disk, was)) for disk, was in self._free.items())
        return gone >= self._left() / 2

    def _begin(self, now: float) -> None:
        self._began, self._free = now, self._room()
        self._regular = now + _REGULAR
        hear, say = os.pipe()
        shim = os.getpid()
        pid = fork_beside(lambda: self._count(say, shim), [say])
        os.close(say)
        if pid is None:
            os.close(hear)
            return
        self._look, self._ended = (pid, hear), None
        self._loop.add(hear, self._hear)

    def _hear(self) -> None:
        if self._look is None:
            return
        said = os.read(self._look[1], _FOUND.size)
        self._let_go()
        if len(said) < _FOUND.size:  # somebody killed it; the next one is due in half a minute
            return
        self._taken, used = _FOUND.unpack(said)
        now = time.monotonic()
        self._early = now + min(_SHORT_REST * used, _LONGEST_REST)
        self._regular = now + max(_REGULAR, _REST * used)
        if self._taken > self._limit:
            self._full()

    def _let_go(self) -> None:
        look, self._look = self._look, None
        if look is None:
            return
        pid, hear = look
        self._loop.remove(hear)
        os.close(hear)
        if pid != self._ended:
            end_beside(pid)

    # --- in the child ---

    def _count(self, say: int, shim: int) -> None:
        os.nice(19)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two for each level of folders
        allowed = self._allowed
        pids = leftovers.alive(self._traces, shim)
        found = written.without_name(pids, allowed.folders)
        written.see_what_is_shut()
        found += written.in_folders(allowed.folders, allowed.since, self._limit - found)
        os.write(say, _FOUND.pack(found, time.process_time()))
