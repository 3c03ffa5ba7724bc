"""The first process of a container: it fetches its program at the door and sees to its end there.

It needs nothing of the image: the control plane shows it its own Python and this package (`kit`).
What the program does can neither read nor end it, for it is the first process and not dumpable.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from muster.runtimes import cgroups
from muster.runtimes.child import Program, ended_children, start
from muster.runtimes.door import PATIENCE, SOCKET, hear, say
from muster.runtimes.engine_decoy import EngineDecoy
from muster.runtimes.tripwires import DEVICE, FILE, Tripwires

_PR_SET_DUMPABLE = 4
_KNOCK_AGAIN = 0.005
_GRACE = 0.1
_LOOK_AGAIN = 0.005
_OWN_BOX = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup")


def main(door: str) -> None:
    """Run one program in this container, which ends with it."""
    if os.getpid() != 1:
        sys.exit("this is for the first process of a container: it kills all others at its end")
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    # The program may send it anything; the kernel keeps only what nobody listens for away from it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    wake, woken = socket.socketpair()
    for end in (wake, woken):
        end.setblocking(False)
    signal.set_wakeup_fd(woken.detach(), warn_on_full_buffer=False)
    connection = _knock(f"{door}/{SOCKET}")
    if connection is None:
        sys.exit("nobody opened the door")
    order, streams = hear(connection)
    if order is not None:
        _Container(connection, wake).run(order, streams)


def _knock(path: str) -> socket.socket | None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            time.sleep(_KNOCK_AGAIN)
        else:
            return connection
    return None


class _Container:
    """All that runs in this container, and the one outside who is told of it."""

    def __init__(self, connection: socket.socket, wake: socket.socket) -> None:
        self._connection = connection
        self._wake = wake
        self._program = 0
        self._code: int | None = None
        self._ears: list[Tripwires | EngineDecoy] = []

    def run(self, order: Mapping[str, Any], streams: Sequence[int]) -> None:
        """Start the program, stay until it has ended, leave nothing, tell how it was."""
        here = {**order, "argv": _as_here(order["argv"], order["env"])}
        self._lay_out(here.pop("decoys"))
        self._program, problem = start(Program(**here), streams)
        for fd in streams:
            os.close(fd)
        with contextlib.suppress(OSError):
            say(self._connection, {"problem": problem})
        if problem:
            return
        self._reap()  # it may have ended before anybody listened
        while self._code is None and self._turn():
            pass
        left = self._clear()
        for ear in self._ears:
            ear.close()
        if self._code is not None:
            with contextlib.suppress(OSError):
                say(self._connection, self._report(left))

    def _lay_out(self, decoys: Mapping[str, Sequence[str]]) -> None:
        """Make what a thief looks for, and listen to it; what cannot be made is not heard."""
        for path in decoys["folders"]:
            with contextlib.suppress(OSError):
                os.makedirs(path, 0o700, exist_ok=True)  # noqa: PTH103 - pathlib costs this process too much
        for path in decoys["files"]:
            with contextlib.suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        wires = Tripwires(self._tell)
        wires.set(
            "",
            {
                **dict.fromkeys((*decoys["folders"], *decoys["files"]), FILE),
                **dict.fromkeys(decoys["devices"], DEVICE),
            },
        )
        self._ears.append(wires)
        for path in decoys["sockets"]:
            with contextlib.suppress(OSError):
                self._ears.append(EngineDecoy(path, self._tell))

    def _tell(self, kind: str, what: str, count: int, why: str) -> None:
        with contextlib.suppress(OSError):
            say(self._connection, {"heard": [kind, what, count, why]})

    def _turn(self) -> bool:
        """Wait for something and do it; False when nobody outside is there any more."""
        ready, _, _ = select.select([self._connection, self._wake, *self._ears], [], [])
        self._ears = [ear for ear in self._ears if ear not in ready or ear.hear()]
        if self._wake in ready:
            self._wake.recv(4096)
            self._reap()
        if self._connection in ready:
            asked, _ = hear(self._connection)
            if asked is None:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._program, int(asked["signal"]))
        return True

    def _reap(self) -> None:
        for pid, status in ended_children():
            if pid == self._program:
                self._code = os.waitstatus_to_exitcode(status)

    def _clear(self) -> int:
        """Give what the program left a moment to end, then kill it; how many were killed."""
        until = time.monotonic() + (_GRACE if self._code is not None else 0.0)
        while _others() and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN)
            self._reap()
        left = len(_others())
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        return left

    def _report(self, left: int) -> dict[str, Any]:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "code": self._code,
            "left": left,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "max_rss_bytes": usage.ru_maxrss * 1024,
            "memory_kills": cgroups.memory_kills(_OWN_BOX),
            "process_refusals": cgroups.process_refusals(_OWN_BOX),
        }


def _as_here(argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The same command; a program that is elsewhere in this image is looked for on PATH."""
    path, name = argv[0], os.path.basename(argv[0])  # noqa: PTH119 - pathlib costs this process too much
    if path.startswith("/") and not os.path.lexists(path):
        for folder in env.get("PATH", os.defpath).split(":"):
            if os.access(f"{folder}/{name}", os.X_OK):
                return [f"{folder}/{name}", *argv[1:]]
    return list(argv)


def _others() -> list[str]:
    """The living processes beside this one."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib costs this process too much
        if name.isdigit() and name != "1":
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                if file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X"):
                    found.append(name)
    return found
