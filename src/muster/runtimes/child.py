"""Starting a run's program: its own session and box, its limits, and a clear word when it fails."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from muster.runtimes import cgroups, doorkeeper

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
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


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


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

    def __init__(self, box: Iterable[str]) -> None:
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
        elsewhere: Sequence[str] = (),
    ) -> str:
        """Start this program; why it could not be started, or an empty string.

        `elsewhere` names the run directory and the door of a container that is to run it.
        """
        order = {"argv": argv, "cwd": cwd, "env": dict(env), "file_bytes": file_bytes}
        with contextlib.suppress(BrokenPipeError), open(self._tell, "wb") as tell:  # noqa: PTH123 (pathlib is not loaded in a shim)
            tell.write(json.dumps([order, elsewhere]).encode())
        with open(self._said, "rb") as said:  # noqa: PTH123 (pathlib is not loaded in a shim)
            return said.read().decode("utf-8", "replace")

    def _live(self, parent: int, box: Iterable[str], streams: Iterable[int]) -> None:
        """Never returns: this process becomes the program, or says why not and ends."""
        try:
            streams = tuple(streams)
            _settle(parent, box)
            with open(self._told, "rb") as told:  # noqa: PTH123 (pathlib is not loaded in a shim)
                order = told.read()
            if not order:  # the shim that was never needed has hung up
                os._exit(0)
            said, elsewhere = json.loads(order)
            if elsewhere:
                _let_go_of_all_but({0, 1, 2, self._say, *streams})
                hang_up = partial(os.close, self._say)
                problem = doorkeeper.keep(*elsewhere, said, streams, hang_up)
            else:
                problem = _become(**said, streams=streams)
        except BaseException as error:  # noqa: BLE001 - nothing may run on as a second shim
            problem = f"the program could not be started: {error}"
        os.write(self._say, problem.encode("utf-8", "replace"))
        os._exit(127)


def _let_go_of_all_but(kept: set[int]) -> None:
    """Close what an exec would have closed."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib is not loaded in a shim
        if int(name) not in kept:
            with contextlib.suppress(OSError):  # the one that was open for looking
                os.close(int(name))


def start(
    argv: list[str], cwd: str, env: dict[str, str], file_bytes: int, streams: Sequence[int]
) -> tuple[int, str]:
    """Start a program on these streams; its process id, and why it could not be started."""
    said, say = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _settle(parent, ())
            problem = _become(argv, cwd, env, file_bytes, streams)
        except BaseException as error:  # noqa: BLE001 - nothing may run on as a second parent
            problem = f"the program could not be started: {error}"
        os.write(say, problem.encode("utf-8", "replace"))
        os._exit(127)
    os.close(say)
    with open(said, "rb") as answer:  # noqa: PTH123 (pathlib is not loaded here)
        return pid, answer.read().decode("utf-8", "replace")


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


def _become(
    argv: list[str], cwd: str, env: dict[str, str], file_bytes: int, streams: Iterable[int]
) -> str:
    """Why the program could not be started; does not return when it was."""
    if not argv or not argv[0]:
        return "no program was named"
    try:
        os.chdir(cwd)
    except OSError as error:
        return f"the working directory {cwd} cannot be entered: {error.strerror}"
    _limit(resource.RLIMIT_FSIZE, file_bytes)
    for target, source in enumerate(streams):
        os.dup2(source, target)
    try:
        os.execvpe(argv[0], argv, env)  # noqa: S606 - this is what a shim is for
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
