"""What a contained run does that no proxy sees, as far as its shim can hear of it.

Decoys stand in a sandbox where a thief looks (`decoys`); inotify tells that one was opened, also
across namespaces. And the run's own network counts what found no way to where it wanted: the
kernel tells how often, not where to. Both are written down as refusals (`refusals`).

What is only asked about (`stat`, a name that is not there) is not heard, and nothing under
Landlock, which has neither decoys nor a network of the run's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence

from muster.runtimes.control import Loop
from muster.runtimes.refusals import CONNECTION, FILE

Report = Callable[[str, str, int, str], None]
"""What is refused: its kind, what, how often, and why."""

_OPENED, _NO_LINK = 0x20, 0x02000000
_CLOEXEC, _NONBLOCK = 0o2000000, 0o4000
_HEAD = struct.Struct("iIII")
_PIECE = 4096
_MOST_HEARD = 1000
"""So often a run may wake its shim by what it opens."""
_PATIENCE, _AGAIN = 5.0, 0.0002
_NEW_ROOT = "newroot"
_COUNTED = {"snmp": (b"Ip:", b"OutNoRoutes"), "snmp6": (b"Ip6OutNoRoutes", b"")}
_libc = ctypes.CDLL(None, use_errno=True)


# --- decoys ---------------------------------------------------------------------------------------


class Tripwires:
    """The decoys in one sandbox, and what of them was opened; each is told once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._fd = -1
        self._paths: dict[int, str] = {}
        self._heard = 0

    def set(self, pid: int, paths: Sequence[str]) -> None:
        """Listen to what lies at these paths in the sandbox of a process that does not run yet.

        The last of them is made last; bubblewrap goes on with what the run is given meanwhile.
        Where the kernel gives no ear (there are 128 for each user) nothing is heard.
        """
        root = _laid_out(pid, paths[-1]) if paths else None
        if root is None:
            return
        try:
            self._fd = int(_libc.inotify_init1(_NONBLOCK | _CLOEXEC))
            for path in paths if self._fd >= 0 else ():
                # Nothing that the run was given lies on the way: no link leads elsewhere.
                there = os.fsencode(f"/proc/self/fd/{root}{path}")
                watch = _libc.inotify_add_watch(self._fd, there, _OPENED | _NO_LINK)
                if watch >= 0:
                    self._paths[int(watch)] = path
        finally:
            os.close(root)

    def listen(self, loop: Loop) -> None:
        """Hear what is opened from now on, and what was already."""
        if self._fd >= 0:
            loop.add(self._fd, lambda: self._wake(loop))

    def _wake(self, loop: Loop) -> None:
        self._heard += 1
        self.hear()
        if not self._paths or self._heard > _MOST_HEARD:
            loop.remove(self._fd)

    def hear(self) -> None:
        """Tell of what was opened."""
        data = b""
        if self._fd >= 0:
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._fd, _PIECE)
        while data:
            watch, mask, _, named = _HEAD.unpack_from(data)
            data = data[_HEAD.size + named :]
            # With a name it is something in a folder: that was opened, and the folder was not.
            if mask & _OPENED and not named and (path := self._paths.pop(watch, "")):
                _libc.inotify_rm_watch(self._fd, watch)
                self._report(FILE, path, 1, "it opened an empty decoy of what is not its own")

    def close(self) -> None:
        """Hear the last and let go."""
        self.hear()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


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


# --- both -----------------------------------------------------------------------------------------


class Alarms:
    """All that is heard of one run."""

    def __init__(self, report: Report) -> None:
        self._tripwires = Tripwires(report)
        self._unreached: Unreached | None = None
        self._report = report

    def of_network(self, pid: int) -> None:
        """Hear of the network that a process is in, which is the run's own."""
        self._unreached = Unreached(pid, self._report)

    def of_files(self, pid: int, decoys: Mapping[str, Sequence[str]]) -> None:
        """Hear of the decoys in the sandbox of a process; returns when they are there."""
        self._tripwires.set(pid, [*decoys["folders"], *decoys["files"]])

    def listen(self, loop: Loop) -> None:
        """Tell at once of what is heard from now on."""
        self._tripwires.listen(loop)

    def close(self) -> None:
        """Tell the rest."""
        self._tripwires.close()
        unreached, self._unreached = self._unreached, None
        if unreached is not None:
            unreached.close()
