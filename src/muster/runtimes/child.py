"""Starting a run's program: its own session and box, its limits, and a clear word when it fails."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from muster.runtimes import cgroups

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


@dataclass(frozen=True, slots=True)
class Program:
    """What is started, where, with which whole environment, in which box."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    file_bytes: int
    box: tuple[str, ...] = ()


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def spawn(program: Program, stdin: int, out: int, err: int) -> tuple[int, str]:
    """Start a program on these descriptors.

    Returns:
        Its process id, and why it could not be started or an empty string. In either case it is
        a child that has to be waited for.
    """
    said, say = os.pipe()
    shim = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(program, shim, say, (stdin, out, err))
    os.close(say)
    problem = b""
    while piece := os.read(said, 4096):
        problem += piece
    os.close(said)
    return pid, problem.decode("utf-8", "replace")


def _become(program: Program, shim: int, say: int, streams: Iterable[int]) -> None:
    """Never returns: this process is the program now, or has said why not and ended."""
    try:
        os.setsid()
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != shim:
            os._exit(127)
        cgroups.enter(program.box)
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_FSIZE, program.file_bytes)
        for number in _DEFAULT_AGAIN:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for target, source in enumerate(streams):
            os.dup2(source, target)
        problem = _exec(program)
    except BaseException as error:  # noqa: BLE001 - nothing may run on as a second shim
        problem = f"the program could not be started: {error}"
    os.write(say, problem.encode("utf-8", "replace"))
    os._exit(127)


def _limit(which: int, most: int) -> None:
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(which, (most, most))


def _exec(program: Program) -> str:
    """Why the program could not be started; does not return when it was."""
    name = program.argv[0] if program.argv else ""
    if not name:
        return "no program was named"
    try:
        os.chdir(program.cwd)
    except OSError as error:
        return f"the working directory {program.cwd} cannot be entered: {error.strerror}"
    try:
        os.execvpe(name, program.argv, program.env)  # noqa: S606 - this is what a shim is for
    except OSError as error:
        return _why_not(name, error)


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
