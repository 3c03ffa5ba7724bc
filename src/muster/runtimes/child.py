"""Starting a run's program: its own session and box, its limits, and a clear word when it fails."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from muster.runtimes import cgroups

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
_LENGTH = struct.Struct("<I")
_DEFAULT_AGAIN = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGPIPE,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGXFSZ,
)


Command = tuple[str, list[str], dict[str, str]]
"""What is executed in the end: the file, its arguments, its environment."""
Dress = Callable[[Mapping[str, Any], Command, int, int], Command]
"""How a child contains itself: the cage, the program, and the pipes from and to its parent.

It runs in the child, last before the program, and says what is to be executed in its place.
"""


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ended_children() -> Iterator[tuple[int, int]]:
    """The children that have ended and were not waited for yet, each with its wait status."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            yield pid, status


@dataclass(frozen=True, slots=True)
class Program:
    """What a child is told to start."""

    argv: list[str]
    cwd: str
    env: dict[str, str]
    file_bytes: int


class Embryo:
    """A child that will be a run's program: already in its own session and box, not yet told what.

    Moving a process into a box makes the kernel wait for all processors, some 15 ms on an idle
    machine; so that is done before anybody waits for it. It is a child that has to be waited for,
    and it dies with its parent.

    Attributes:
        pid: its process id, which is also that of its session and group.
        stdin: the writing end of its standard input.
        out: the reading end of its standard output.
        err: the reading end of its standard error.
    """

    def __init__(self, box: Iterable[str], dress: Dress | None = None) -> None:
        self._dress = dress
        self._told, self._tell = os.pipe()
        self._said, self._say = os.pipe()
        stdin, self.stdin = os.pipe()
        self.out, out = os.pipe()
        self.err, err = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._tell)
            self._live(parent, box, (stdin, out, err))
        for fd in (self._told, self._say, stdin, out, err):
            os.close(fd)

    def become(
        self,
        argv: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        file_bytes: int,
        cage: Mapping[str, Any] | None = None,
    ) -> int:
        """Tell it what to start; the pipe on which it says why it could not.

        A program that starts closes that pipe, unless it was dressed in a `cage`: then whatever
        contains it may go on to use both pipes (`release`).
        """
        order = json.dumps([argv, cwd, dict(env), file_bytes, cage]).encode()
        data = _LENGTH.pack(len(order)) + order
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._tell, data) :]
        return self._said

    def release(self) -> None:
        """Hang up; what waits for that goes on."""
        os.close(self._tell)

    def _put_on(self, cage: Mapping[str, Any], command: Command) -> Command:
        return self._dress(cage, command, self._told, self._say) if self._dress else command

    def _live(self, parent: int, box: Iterable[str], streams: Iterable[int]) -> None:
        """Never returns: this process becomes the program, or says why not and ends."""
        try:
            _settle(parent, box)
            with open(self._told, "rb", closefd=False) as told:
                head = told.read(_LENGTH.size)
                if not head:  # the shim that was never needed has hung up
                    os._exit(0)
                argv, cwd, env, file_bytes, cage = json.loads(told.read(*_LENGTH.unpack(head)))
                program = Program(argv, cwd, env, file_bytes)
                dress = partial(self._put_on, cage)
                problem = _become(program, streams, dress if cage is not None else None)
        except BaseException as error:  # noqa: BLE001 - nothing may run on as a second shim
            problem = f"the program could not be started: {error}"
        os.write(self._say, problem.encode("utf-8", "replace"))
        os._exit(127)


def _settle(parent: int, box: Iterable[str]) -> None:
    os.setsid()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(127)
    for number in _DEFAULT_AGAIN:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _limit(resource.RLIMIT_CORE, 0)
    cgroups.enter(box)


def _limit(which: int, most: int) -> None:
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(which, (most, most))


def start(program: Program, streams: Sequence[int]) -> tuple[int, str]:
    """Start a program on these streams; its process id, and why it could not be started."""
    said, say = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _settle(parent, ())
            problem = _become(program, streams)
        except BaseException as error:  # noqa: BLE001 - nothing may run on as a second parent
            problem = f"the program could not be started: {error}"
        os.write(say, problem.encode("utf-8", "replace"))
        os._exit(127)
    os.close(say)
    with open(said, "rb") as answer:  # noqa: PTH123 (pathlib is not loaded here)
        return pid, answer.read().decode("utf-8", "replace")


def _become(
    program: Program, streams: Iterable[int], dress: Callable[[Command], Command] | None = None
) -> str:
    """Why the program could not be started; does not return when it was."""
    argv = program.argv
    if not argv or not argv[0]:
        return "no program was named"
    try:
        os.chdir(program.cwd)
    except OSError as error:
        return f"the working directory {program.cwd} cannot be entered: {error.strerror}"
    _limit(resource.RLIMIT_FSIZE, program.file_bytes)
    command: Command = (argv[0], argv, program.env)
    try:
        for target, source in enumerate(streams):
            os.dup2(source, target)
        if dress is not None:
            command = dress(command)
        os.execvpe(*command)  # noqa: S606 - this is what a shim is for
    except OSError as error:
        return _why_not(argv[0], error)


def _why_not(name: str, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if "/" not in name:
            return f"the program '{name}' was not found on PATH"
        if os.path.lexists(name):
            return f"the program '{name}' names an interpreter that was not found"
        return f"the program '{name}' was not found"
    if error.errno == errno.EACCES:
        return f"the program '{name}' may not be executed"
    return f"the program '{name}' cannot be executed: {error.strerror}"
