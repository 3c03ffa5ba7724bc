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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from muster.runtimes.door import PATIENCE, SOCKET, hear, say
from muster.runtimes.layout import PLACE, write_at_once

_PASSED_ON = (signal.SIGINT, signal.SIGTERM)
_LOST = 125


def keep(
    folder: str,
    door: str,
    order: Mapping[str, Any],
    streams: Sequence[int],
    started: Callable[[], None],
) -> str:
    """Have the order carried out inside; why it cannot be, else this process ends as it did.

    `started` is called when the program runs, or when nobody came to fetch it.
    """
    wake = _listen_for_signals()
    connection = _open(door)
    answer = None
    if connection is not None:
        with contextlib.suppress(OSError):
            say(connection, order, streams)
    for fd in streams:
        os.close(fd)
    if connection is not None:
        answer, _ = hear(connection)
    if connection is None or answer is None:
        started()
        _end(folder, _lost("the container ended before it had started the program"))
    if problem := str(answer.get("problem", "")):
        return problem
    started()
    return _end(folder, _stay(connection, wake))


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
        except TimeoutError:
            return None
        finally:
            os.unlink(SOCKET)  # noqa: PTH108
    connection.setblocking(True)
    return connection


def _stay(connection: socket.socket, wake: socket.socket) -> dict[str, Any]:
    """Pass signals on until the inside tells how it ended, or is gone."""
    while True:
        ready, _, _ = select.select([connection, wake], [], [])
        if connection in ready:
            report, _ = hear(connection)
            return report or _lost("the container was ended from outside")
        for number in wake.recv(64):
            with contextlib.suppress(OSError):
                say(connection, {"signal": number})


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
