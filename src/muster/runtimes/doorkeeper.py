"""The keeper of a run's door: for the shim it stands for a program that runs in a container.

It hands the program's streams in, passes signals on, and ends in the way the program ended. What
only the inside can know lies in `place.json` of the run directory then (`layout.PLACE`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from muster.runtimes.door import PATIENCE, SOCKET, hear, say
from muster.runtimes.layout import PLACE, write_at_once
from muster.runtimes.refusals import Record

_PASSED_ON = (signal.SIGINT, signal.SIGTERM)
_STREAMS = (0, 1, 2)
_LOST, _NOT_STARTED = 125, 127


def keep(folder: str, door: str, order: Mapping[str, Any], said: int) -> NoReturn:
    """Have the order carried out inside with this process's streams, and end as the program does.

    `said` is the pipe on which it is told why the program could not be started; it is closed when
    it was, or when nobody came to fetch it.
    """
    _let_go_of_all_but({*_STREAMS, said})
    wake = _listen_for_signals()
    answer = None
    connection = _open(door)
    if connection is not None:
        with contextlib.suppress(OSError):
            say(connection, order, _STREAMS)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in _STREAMS:
        os.dup2(nothing, fd)
    if connection is not None:
        answer, _ = hear(connection)
    if answer is None or connection is None:
        os.close(said)
        _end(folder, _lost("the container ended before it had started the program"))
    if problem := str(answer.get("problem", "")):
        os.write(said, problem.encode("utf-8", "replace"))
        os._exit(_NOT_STARTED)
    os.close(said)
    _end(folder, _stay(connection, wake, folder))


def _let_go_of_all_but(kept: set[int]) -> None:
    """Close what an exec would have closed."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib is not loaded in a shim
        if int(name) not in kept:
            with contextlib.suppress(OSError):  # the one that was open for looking
                os.close(int(name))


def _listen_for_signals() -> socket.socket:
    wake, woken = socket.socketpair()
    for end in (wake, woken):
        end.setblocking(False)
    signal.set_wakeup_fd(woken.detach(), warn_on_full_buffer=False)
    for number in _PASSED_ON:
        signal.signal(number, lambda *_: None)
    return wake


def _open(door: str) -> socket.socket | None:
    """The one who knocks, or None when nobody does in time; nobody else is let in."""
    with contextlib.suppress(OSError):
        return _opened(door)
    return None


def _opened(door: str) -> socket.socket:
    os.chdir(door)  # the path of a socket may only be 107 bytes long
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET)  # noqa: PTH108 - pathlib is too heavy for the shim
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        # Nobody sees it before somebody listens.
        listener.bind(f".{SOCKET}")
        listener.listen(1)
        listener.settimeout(PATIENCE)
        os.rename(f".{SOCKET}", SOCKET)  # noqa: PTH104
        try:
            connection, _ = listener.accept()
        finally:
            os.unlink(SOCKET)  # noqa: PTH108
    connection.setblocking(True)
    return connection


def _stay(connection: socket.socket, wake: socket.socket, folder: str) -> dict[str, Any]:
    """Pass signals on, and write down what is heard, until the inside tells how it ended."""
    while True:
        ready, _, _ = select.select([connection, wake], [], [])
        if connection in ready:
            report, _ = hear(connection)
            if report and (heard := report.get("heard")):
                _write_down(folder, heard)
                continue
            return report or _lost("the container was ended from outside")
        for number in wake.recv(64):
            with contextlib.suppress(OSError):
                say(connection, {"signal": number})


def _write_down(folder: str, heard: Sequence[Any]) -> None:
    """Keep what the first process of the container has heard (`tripwires`); it is no secret."""
    kind, what, count, why = heard
    record = Record(folder, bytes)
    record.heard(str(kind), str(what), int(count), str(why))
    record.close()


def _lost(detail: str) -> dict[str, Any]:
    return {"code": _LOST, "why": "lost", "detail": detail}


def _end(folder: str, report: Mapping[str, Any]) -> NoReturn:
    """Leave the report, and end with the same status as the program."""
    write_at_once(folder, PLACE, json.dumps(report).encode())
    code = int(report["code"])
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
