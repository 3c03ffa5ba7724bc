"""What a contained run does that no proxy sees, as far as its shim can hear of it.

Decoys stand in a sandbox where a thief looks (`decoys`), and inotify tells that one was opened
(`tripwires`); a socket stands where a container engine's would (`engine_decoy`). Its own network
counts what found no way to where it wanted, and tells who knocked where only the machine listens
(`knocks`). All is written down as refusals (`refusals`).

What is only asked about (`stat`, a name that is not there) is not heard. Under Landlock, which has
neither decoys nor a network of the run's own, nothing is heard but of its git.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence

from muster.runtimes.control import Loop
from muster.runtimes.engine_decoy import EngineDecoy
from muster.runtimes.knocks import Knocks
from muster.runtimes.refusals import CONNECTION
from muster.runtimes.tripwires import DEVICE, FILE, PROCESS, Report, Tripwires

_PATIENCE, _AGAIN = 5.0, 0.0002
_NEW_ROOT = "newroot"
_FIRST_PROCESS = "/proc/1/environ"
ENGINE = "engine"
"""The socket in the run directory that stands in for an engine's."""
_COUNTED = {"snmp": (b"Ip:", b"OutNoRoutes"), "snmp6": (b"Ip6OutNoRoutes", b"")}


# --- decoys ---------------------------------------------------------------------------------------


def _laid_out(pid: int, path: str) -> int | None:
    """The root folder of a sandbox, once there is this path in it; None: there never will be.

    Bubblewrap makes it below `newroot`; before that its root is that of this machine.
    """
    until = time.monotonic() + _PATIENCE
    ours = os.stat("/")  # noqa: PTH116 - pathlib is too heavy for the shim
    while time.monotonic() < until:
        try:
            root = _root(pid)
        except OSError:  # it is dead, or not ours to see
            return None
        begun = not os.path.samestat(os.fstat(root), ours)
        if begun and os.path.lexists(f"/proc/self/fd/{root}{path}"):
            return root
        os.close(root)
        time.sleep(_AGAIN)
    return None


def _root(pid: int) -> int:
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        return os.open(f"/proc/{pid}/root/{_NEW_ROOT}", flags)
    return os.open(f"/proc/{pid}/root", flags)


# --- the network ----------------------------------------------------------------------------------


class Unreached:
    """What of a run's own network found no way to where it wanted, as the kernel counts it."""

    def __init__(self, pid: int, report: Report) -> None:
        """`pid` is a process in it; the network is seen for as long as this is open."""
        self._report = report
        self._files: dict[str, int] = {}
        for name in _COUNTED:
            with contextlib.suppress(OSError):
                self._files[name] = os.open(f"/proc/{pid}/net/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Tell how much it was."""
        times = sum(_count(os.pread(fd, 65536, 0), name) for name, fd in self._files.items())
        for fd in self._files.values():
            os.close(fd)
        self._files = {}
        if times:
            why = "there is no way to anywhere but by the proxy"
            self._report(CONNECTION, "addresses past the proxy", times, why)


def _count(data: bytes, name: str) -> int:
    head, column = _COUNTED[name]
    lines = [line.split() for line in data.splitlines() if line.startswith(head)]
    if not column:
        return int(lines[0][1]) if lines else 0
    return int(dict(zip(*lines, strict=True))[column]) if len(lines) == 2 else 0


# --- all ------------------------------------------------------------------------------------------


class Alarms:
    """All that is heard of one run."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tripwires = Tripwires(report)
        self._engine: EngineDecoy | None = None
        self._unreached: Unreached | None = None
        self._knocks = Knocks([], report)

    def of_engine(self) -> None:
        """Hear of who calls a container engine; its socket lies in the run directory from now."""
        self._engine = EngineDecoy(ENGINE, self._report)

    def of_network(self, pid: int, ears: list[socket.socket]) -> None:
        """Hear of the network that a process is in, which is the run's own."""
        self._unreached = Unreached(pid, self._report)
        self._knocks = Knocks(ears, self._report)

    def of_files(self, pid: int, decoys: Mapping[str, Sequence[str]]) -> None:
        """Hear of the decoys in the sandbox of a process; returns when they are there."""
        wires = dict.fromkeys([*decoys["folders"], *decoys["files"]], FILE)
        wires |= dict.fromkeys(decoys["devices"], DEVICE)
        root = _laid_out(pid, list(wires)[-1]) if wires else None
        if root is not None:
            self._tripwires.set(f"/proc/self/fd/{root}", {**wires, _FIRST_PROCESS: PROCESS})
            os.close(root)

    def of_git(self, folder: str) -> None:
        """Hear of what is done to the git folder that the run works in."""
        self._tripwires.set_git(folder)

    def listen(self, loop: Loop) -> None:
        """Tell at once of what is heard from now on."""
        _listen(loop, self._tripwires.fileno(), self._tripwires.hear)
        if self._engine is not None:
            _listen(loop, self._engine.fileno(), self._engine.hear)
        for ear in self._knocks.ears:
            _listen(loop, ear.fileno(), self._knocks.hear)

    def close(self) -> None:
        """Tell the rest."""
        self._tripwires.close()
        self._knocks.close()
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
        unreached, self._unreached = self._unreached, None
        if unreached is not None:
            unreached.close()


def _listen(loop: Loop, fd: int, hear: Callable[[], bool]) -> None:
    def wake() -> None:
        if not hear():
            loop.remove(fd)

    if fd >= 0:
        loop.add(fd, wake)
