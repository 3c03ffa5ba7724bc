"""What a pane shows of a run: its log as it grows, and a line typed there goes to the program.

It is a view and supervises nothing: it can be closed, killed and opened again at any time.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from pathlib import Path

from muster.domain.plain import Cleaner, plain_line
from muster.runtimes.base import Exit
from muster.runtimes.layout import CTL, DATA, FRAME, SPEC, WATCH, YES, read_json
from muster.runtimes.rundir import RunDir

_LOOK = 0.5
_PAGE = 65536
_MOST_BEHIND = 1 << 20
_LINGER = 5.0
_LINE = 65536
_DIM, _RESET = "\x1b[2m", "\x1b[0m"


def main(folder: str) -> None:
    """Show a run until it is over."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    View(Path(folder)).run()


class View:
    """One run on this terminal."""

    def __init__(self, folder: Path) -> None:
        os.chdir(folder)  # the path of a socket may only be 107 bytes long
        self._record = RunDir(folder)
        self._cleaner = Cleaner(colour=True)
        self._shown = 0
        self._watch: socket.socket | None = None

    def run(self) -> None:
        """Show and pass on, until the end; then stay for a moment, or until a line is typed."""
        self._note(f"{self._record.path.name}: what it says; a line you type goes to it")
        while (ended := self._record.exit()) is None:
            if not self._record.started():
                return  # somebody removed it
            self._show()
            self._wait()
        self._show()
        self._write(self._cleaner.rest())
        self._note(_how(ended))
        select.select([0], [], [], _LINGER)

    def _show(self) -> None:
        """Show what is new, of a flood the end."""
        behind = self._record.log_size() - self._shown
        if behind > _MOST_BEHIND:
            self._shown += behind - _PAGE
            self._note(f"{behind - _PAGE} bytes are not shown: it says too much")
        while True:
            page = self._record.log(self._shown, _PAGE)
            for item in page.items:
                self._write(self._cleaner.feed(item.text))
            if page.truncated is not None:
                self._note(f"{page.truncated[1] - page.truncated[0]} bytes were dropped here")
            if page.next == self._shown:
                return
            self._shown = page.next

    def _wait(self) -> None:
        """Until the run says something, ends, or somebody types."""
        if self._watch is None:
            self._watch = _connect(WATCH)
        awaited: list[int | socket.socket] = [0, *([self._watch] if self._watch else [])]
        ready, _, _ = select.select(awaited, [], [], _LOOK)
        for watch in (one for one in ready if isinstance(one, socket.socket)):
            if not _heard(watch):
                watch.close()
                self._watch = None
        if 0 in ready:
            self._pass_on(os.read(0, _LINE))

    def _pass_on(self, line: bytes) -> None:
        if not line:
            sys.exit(0)  # the terminal is gone
        spec = read_json(SPEC) or {}
        connection = _connect(DATA, line) if spec.get("interactive") else None
        answer = connection.recv(1) if connection else b""
        if connection:
            connection.close()
        if answer != YES:
            self._note("it takes no input")

    def _note(self, text: str) -> None:
        self._write(f"{_DIM}[{plain_line(text)}]{_RESET}\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone; the next look ends this
            os.write(1, text.encode("utf-8", "replace"))


def _how(ended: Exit) -> str:
    status = "no status" if ended.code is None else f"status {ended.code}"
    return "; ".join(filter(None, (f"ended: {ended.why}, {status}", ended.detail)))


def _connect(word: bytes, body: bytes = b"") -> socket.socket | None:
    """A connection to the run's shim with something said on it; None when nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_LINGER)
        connection.connect(CTL)
        connection.sendall(FRAME.pack(word, len(body)) + body)
    except OSError:
        connection.close()
        return None
    return connection


def _heard(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except OSError:
        return b""
