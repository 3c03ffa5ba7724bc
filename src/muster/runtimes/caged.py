"""What a shim does to contain its program: bubblewrap around it, or Landlock on it, and a gate.

The server says what is to be seen (`sandbox`); here it is done. Values of the environment go to
bubblewrap through a file in memory: an argument could be read by everybody on the machine.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from muster.runtimes import landlock, zygote
from muster.runtimes.child import Command
from muster.runtimes.doorway import listen
from muster.runtimes.egress import mirrored
from muster.runtimes.gated import PROXY, Gated
from muster.runtimes.layout import MARK, RUN_ID
from muster.runtimes.seccomp import program as seccomp_program
from muster.runtimes.shim import Cradle, Order

BWRAP, LANDLOCK = "bwrap", "landlock"
_SIGNALLED = 128


# --- in the child ---------------------------------------------------------------------------------


def dress(cage: Mapping[str, Any], command: Command, told: int, said: int) -> Command:
    """Contain this process, or say which program contains it.

    Raises:
        OSError: the program is not there, or the kernel refused.
    """
    name, argv, env = command
    _look_for(name, env.get("PATH", os.defpath))
    if cage["kind"] == LANDLOCK:
        landlock.drop_capabilities()
        landlock.restrict(cage["read"], cage["write"], cage["connect"])
        if calls := seccomp_program(os.uname().machine, only_tcp=True):
            landlock.filter_calls(calls)
        return command
    for fd in (told, said):
        os.set_inheritable(fd, True)
    arguments = ["--block-fd", str(told), "--json-status-fd", str(said)]
    files = {path: _in_memory(text.encode()) for path, text in cage["files"].items()}
    files |= {path: os.open(path, os.O_RDONLY) for path in cage["copies"]}
    for path, fd in files.items():
        os.set_inheritable(fd, True)
        arguments += ["--perms", "0444", "--file", str(fd), path]
    arguments += cage["arguments"]
    for path in (*cage["decoys"]["files"], *cage["decoys"]["devices"]):
        arguments += ["--perms", "0600", "--file", str(_nothing()), path]
    # Only now what the run was given: a file that is made after it could be made in it.
    arguments += cage["given"]
    for variable, value in env.items():
        arguments += ["--setenv", variable, value]
    if calls := seccomp_program(os.uname().machine):
        arguments += ["--seccomp", str(_in_memory(calls))]
    arguments += ["--remount-ro", "/"]
    packed = b"\0".join(os.fsencode(one) for one in arguments)
    outer = [cage["bwrap"], "--args", str(_in_memory(packed)), "--", *argv]
    # By the mark its own processes are found; nothing else of the run's reaches bubblewrap.
    return cage["bwrap"], outer, {key: env[key] for key in (MARK, RUN_ID)}


def _look_for(name: str, path: str) -> None:
    """Raise what executing it would, as only the server's view can tell."""
    places = [name] if "/" in name else [f"{folder}/{name}" for folder in path.split(":")]
    found = [place for place in places if os.path.lexists(place)]
    if not found:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if not any(os.path.isfile(place) and os.access(place, os.X_OK) for place in found):  # noqa: PTH113 (pathlib is not loaded in a shim)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _nothing() -> int:
    """An empty file for the next program to read."""
    fd = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(fd, True)
    return fd


def _in_memory(data: bytes) -> int:
    """A file that has no name, open at its start, for the next program to read."""
    fd = os.memfd_create("muster", 0)
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


# --- in the shim ----------------------------------------------------------------------------------


class Caged(Gated):
    """A program inside bubblewrap or Landlock, with a gate to its network where it has one."""

    dress = staticmethod(dress)

    def __init__(self, order: Order, cradle: Cradle) -> None:
        super().__init__(order, cradle)
        self._status: int | None = None
        self.counts = not self._wrapped  # what is still there then is the sandbox on its way out

    @property
    def _wrapped(self) -> bool:
        return bool(self._cage["kind"] == BWRAP)

    @override
    def cage(self) -> Mapping[str, Any]:
        """The cage as ordered, and to which ports Landlock lets through."""
        here = [port for _, port in mirrored(self._allowed)]
        return {**self._cage, "connect": [self._port, *here] if self._allowed else []}

    @override
    def launch(self) -> str:
        """Start the program; why it could not be, or an empty string."""
        if self._allowed and not self._wrapped:
            door = listen(PROXY[0], 0)
            self._port = door.getsockname()[1]
            self._serve({door: None})
        if self._wrapped and self._cage["decoys"]["sockets"]:
            self._alarms.of_engine()
        return super().launch()

    @override
    def see(self, said: int) -> str:
        """Wait for the cage, open the gate, and let the program go."""
        if not self._wrapped:
            return super().see(said)
        status = _line(said)
        if not status.startswith(b"{"):
            self.embryo.release()
            return status.decode("utf-8", "replace") or (
                "the sandbox could not be made; its error output says why"
            )
        self.group = int(json.loads(status)["child-pid"])
        self._status = said
        problem = self._open_gate(self.group)
        if not problem:
            self._alarms.of_files(self.group, self._cage["decoys"])
        if problem:
            os.kill(self.embryo.pid, signal.SIGKILL)
        self.embryo.release()
        return problem

    @override
    def ended(self, code: int) -> tuple[int, str]:
        """Bubblewrap tells a signal as a shell does, and in its status whether anything ran."""
        if not self._wrapped or self._status is None:
            return code, ""
        with open(self._status, "rb") as file:  # noqa: PTH123 - pathlib is too heavy for the shim
            ran = b'"exit-code"' in file.read()
        where = f"the program '{self.order.argv[0]}' cannot be executed inside the sandbox"
        # One that was itself killed says nothing of the program.
        problem = "" if ran or code < 0 else f"{where}; its error output says why"
        return (_SIGNALLED - code if _SIGNALLED < code < _SIGNALLED + 65 else code), problem


def _line(fd: int) -> bytes:
    """What is said up to the end of a line, or of everything."""
    data = b""
    while not data.endswith(b"\n"):
        with contextlib.suppress(InterruptedError):
            piece = os.read(fd, 1)
            if not piece:
                break
            data += piece
    return data


def serve(socket_fd: int, *, nested: bool) -> None:
    """Be the mother of shims that contain what they run."""
    zygote.serve(socket_fd, nested=nested, keeper=Caged)
