"""A process that serves a run beside its program: a child of the run's shim that ends with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Iterable

_PR_SET_PDEATHSIG = 1
_HIGHEST = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def fork_beside(serve: Callable[[], None], keep: Iterable[int]) -> int | None:
    """Have `serve` done by a child that holds these descriptors only; None: no process is left."""
    shim = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        return None
    if pid == 0:
        try:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() == shim:
                _let_go(keep)
                serve()
        finally:
            os._exit(1)
    return pid


def end_beside(pid: int) -> None:
    """End such a child."""
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _let_go(keep: Iterable[int]) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # It holds neither the run's lock nor its pipes: they tell others that the shim is there.
    at = 3
    for fd in sorted(keep):
        os.closerange(at, fd)
        at = fd + 1
    os.closerange(at, _HIGHEST)
