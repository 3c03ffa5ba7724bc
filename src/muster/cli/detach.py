"""A server started on its own, watched until it answers."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from muster.client import Muster, Patience
from muster.client.home import running_server
from muster.domain.errors import MusterError, Unavailable, Unreachable

_SECONDS = 60.0
_LAST_WORDS = 2000
_ONE_TRY = Patience(seconds=2.0, tries=1)


class Started(NamedTuple):
    """A server that answers."""

    url: str
    pid: int
    log: Path


def start_detached(home: Path, arguments: list[str]) -> Started:
    """Start `muster up` in a session of its own and wait until it answers.

    Raises:
        MusterError: the home cannot be written, or the server ended instead; then the detail has
            its last words and the exit code is its own.
        TimeoutError: it runs and does not answer.
    """
    log = home / "server.log"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.touch(mode=0o600)
    except OSError as error:
        raise Unavailable(
            f"the home {home} cannot be written: {error.strerror}",
            hint="name another folder with --home or MUSTER_HOME",
        ) from error
    begin = log.stat().st_size if log.exists() else 0
    pid = _spawn(["--home", str(home), "up", *arguments], log)
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            raise _death(os.waitstatus_to_exitcode(status), log, begin)
        url = _answering(home, pid)
        if url:
            return Started(url, pid, log)
        time.sleep(0.05)
    raise TimeoutError(f"the server (process {pid}) does not answer; its log: {log}")


def _spawn(arguments: list[str], log: Path) -> int:
    """Start this same program with other arguments, apart from this terminal.

    A runtime is for agents' processes and ends in a run directory; this is only ourselves again.
    `-P` keeps the current directory, which may be a stranger's repository, out of the imports.
    """
    argv = [sys.executable, "-P", "-m", "muster", *arguments]
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    empty = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(output)
        os.close(empty)
        return pid
    try:  # pragma: no cover (the child; it becomes another program)
        os.setsid()
        os.chdir("/")
        for theirs, ours in ((empty, 0), (output, 1), (output, 2)):
            os.dup2(theirs, ours)
        os.execv(sys.executable, argv)  # noqa: S606 (no shell: an argument list)
    finally:
        os._exit(127)


def _answering(home: Path, pid: int) -> str | None:
    running = running_server(home)
    if running is None or running.pid != pid:
        return None
    try:
        with Muster(running.url, patience=_ONE_TRY) as muster:
            muster.health()
    except Unreachable:
        return None
    return running.url


def _death(exit_code: int, log: Path, begin: int) -> MusterError:
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        here = begin if begin <= size else 0  # it was put aside meanwhile, as too large
        file.seek(max(here, size - _LAST_WORDS))
        words = file.read().decode(errors="replace").strip()
    error = Unavailable(
        f"the server did not start (exit {exit_code}): {words or 'it said nothing'}",
        hint=f"mend that and start it again; its log is {log}",
    )
    error.exit_code = exit_code if 0 < exit_code <= 8 else 1
    return error
