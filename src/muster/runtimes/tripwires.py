"""The decoys of one run, and what of them was opened: inotify tells, also across namespaces.

What is only asked about (`stat`, a listing of the folder it lies in) is not heard. It is light: a
container's first process listens with it too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Callable, Mapping

Report = Callable[[str, str, int, str], None]
"""What is refused: its kind, what, how often, and why."""

FILE, DEVICE, PROCESS, GIT = "file", "device", "process", "git"
"""What a decoy stands for."""
_WHY = {
    FILE: "it opened an empty decoy of what is not its own",
    DEVICE: "it opened an empty decoy of a device of the machine",
    PROCESS: "it opened the environment of a process that is not its own",
    GIT: "it set about changing what git would run",
}
_OPENED, _MOVED_TO, _CREATED, _NO_LINK = 0x20, 0x80, 0x100, 0x02000000
_CLOEXEC, _NONBLOCK = 0o2000000, 0o4000
_HEAD = struct.Struct("iIII")
_PIECE = 65536
_MOST_HEARD = 20_000
"""So often a run may wake its listener by what it opens or makes."""
_SETTINGS, _HOOKS = b"config.lock", "hooks"
_libc = ctypes.CDLL(None, use_errno=True)


class Tripwires:
    """What is listened to; each is told once.

    Where the kernel gives no ear (there are 128 for each user) nothing is heard.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._fd = int(_libc.inotify_init1(_NONBLOCK | _CLOEXEC))
        self._wires: dict[int, tuple[str, str]] = {}
        self._heard = 0

    def fileno(self) -> int:
        """Its descriptor; less than 0 where nothing is heard."""
        return self._fd

    def set(self, root: str, paths: Mapping[str, str]) -> None:
        """Listen to these paths below a root folder, each with what it stands for.

        Nothing that the run was given lies on the way: no link leads elsewhere.
        """
        for path, kind in paths.items():
            self._watch(f"{root}{path}", _OPENED, kind, path)

    def set_git(self, folder: str) -> None:
        """Listen to what is made in a git folder where git would read what to run.

        git writes its settings into a new file beside them first, also where they are read-only.
        """
        self._watch(folder, _CREATED | _MOVED_TO, GIT, "settings of its git")
        self._watch(f"{folder}/{_HOOKS}", _CREATED | _MOVED_TO, GIT, "hooks of its git")

    def _watch(self, there: str, mask: int, kind: str, what: str) -> None:
        if self._fd >= 0:
            watch = _libc.inotify_add_watch(self._fd, os.fsencode(there), mask | _NO_LINK)
            if watch >= 0:
                self._wires[int(watch)] = (kind, what)

    def hear(self) -> bool:
        """Tell of what happened; False when there is nothing to wait for any more."""
        while self._fd >= 0 and self._wires and self._heard < _MOST_HEARD:
            try:
                data = os.read(self._fd, _PIECE)
            except BlockingIOError:
                return True
            self._heard += 1
            while data:
                watch, mask, _, length = _HEAD.unpack_from(data)
                named = data[_HEAD.size : _HEAD.size + length].rstrip(b"\0")
                data = data[_HEAD.size + length :]
                self._one(watch, mask, named)
        return False

    def _one(self, watch: int, mask: int, named: bytes) -> None:
        kind, what = self._wires.get(watch, ("", ""))
        if kind == GIT:
            told = bool(mask & (_CREATED | _MOVED_TO)) and (
                not what.startswith("settings") or named == _SETTINGS
            )
        else:
            # With a name it is something in a folder: that was opened, and the folder was not.
            told = bool(mask & _OPENED) and not named
        if kind and told:
            del self._wires[watch]
            _libc.inotify_rm_watch(self._fd, watch)
            self._report(kind, what, 1, _WHY[kind])

    def close(self) -> None:
        """Hear the last and let go."""
        self.hear()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)
