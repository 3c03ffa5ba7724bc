r"""An agent's terminal in this one: keys go there as they are typed, until Ctrl-\ leaves it.

The WebSocket is `websockets`' own; this is loaded only when somebody attaches.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import queue
import select
import signal
import socket
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator, Mapping
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from muster.cli.look import some
from muster.client import Muster
from muster.client.problems import from_answer, from_problem
from muster.domain.errors import Refused, Unreachable
from muster.domain.plain import Cleaner, on_terminal

LEAVE = b"\x1c"
"""Ctrl-\\."""
_CLEAR = "\x1b[0m\x1b[H\x1b[2J\x1b[3J"
_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_TRIES = 20
_PAUSE = 0.5
_LARGEST = 64 << 20
_KEYS = 4096


class _Ended(Exception):
    """There is no more to see: how it ended."""


def attach(muster: Muster, agent: str, write: str) -> str:
    """Look at an agent's terminal until it ends or is left; how it ended, or an empty string.

    `write` is `yes` to type where nobody else does, `over` to take over from whoever does, else
    empty.

    Raises:
        Refused: this is not run on a terminal.
        Unreachable: the server is away for longer than a restart takes.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Refused(
            "this is no terminal", hint=f"to print what it says: muster agent logs -f {agent}"
        )
    window = _Window(write)
    with window.raw():
        return _stay(muster, agent, window)


def _stay(muster: Muster, agent: str, window: _Window) -> str:
    """Look, and come back after the connection was lost."""
    who = f"{_user()}@{socket.gethostname()}"
    tries = 0
    while True:
        asked = {**window.place(), "name": who, "write": window.write or None}
        address, headers = muster.terminal(agent, **asked)
        try:
            with connect(
                address, additional_headers=headers, proxy=None, max_size=_LARGEST
            ) as connection:
                tries = 0
                if not window.use(connection):
                    return ""
        except _Ended as ended:
            return str(ended)
        except InvalidStatus as error:
            answer = error.response
            raise from_answer(answer.status_code, bytes(answer.body or b"")) from error
        except (OSError, WebSocketException) as error:
            tries += 1
            if tries >= _TRIES:
                raise Unreachable(f"no answer from {muster.url}: {error}") from error
        if window.left_meanwhile(_PAUSE):
            return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # one without a name, as in a container
        return str(os.getuid())


class _Window:
    """This terminal, and where it is in what the other one shows."""

    def __init__(self, write: str) -> None:
        self.write = write
        self._screen: str | None = None
        self._offset: int | None = None
        self._cleaner = Cleaner(colour=True)
        self._writing = False
        self._resized = True
        self._wake, self._waken = os.pipe()

    def place(self) -> dict[str, str | int | None]:
        """Where to go on after the connection was lost."""
        return {"screen": self._screen, "offset": self._offset}

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Have every key at once, and as it is."""
        before = termios.tcgetattr(0)
        resize = signal.signal(signal.SIGWINCH, self._has_new_size)
        try:
            tty.setraw(0)
            self._note("attached; Ctrl-\\ leaves")
            yield
        finally:
            signal.signal(signal.SIGWINCH, resize)
            termios.tcsetattr(0, termios.TCSADRAIN, before)
            sys.stdout.write(f"{_RESET}\r\n")
            sys.stdout.flush()

    def _has_new_size(self, *_: object) -> None:
        self._resized = True
        os.write(self._waken, b".")

    def use(self, connection: ClientConnection) -> bool:
        """Show what comes and pass keys on; False when it was left.

        Raises:
            _Ended: the agent has ended.
            MusterError: the server refuses it.
        """
        heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(connection, heard), daemon=True).start()
        while True:
            ready, _, _ = select.select([0, self._wake], [], [])
            if self._wake in ready:
                os.read(self._wake, _KEYS)
                while not heard.empty():
                    message = heard.get()
                    if message is None:
                        return True
                    self._hear(json.loads(message))
            if 0 in ready and not self._typed(connection, os.read(0, _KEYS)):
                return False
            self._tell_size(connection)

    def left_meanwhile(self, seconds: float) -> bool:
        """Wait before the next try; whether the key to leave was pressed."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([0], [], [], left)[0]:
                keys = os.read(0, _KEYS)
                if not keys or LEAVE in keys:
                    return True
        return False

    def _listen(self, connection: ClientConnection, heard: queue.SimpleQueue[str | None]) -> None:
        try:
            for message in connection:
                heard.put(message if isinstance(message, str) else message.decode())
                os.write(self._waken, b".")
        except ConnectionClosed:
            pass  # the main thread hears of it below
        finally:
            heard.put(None)
            os.write(self._waken, b".")

    def _typed(self, connection: ClientConnection, keys: bytes) -> bool:
        """Pass keys on; False when it is left."""
        before, leaves, _ = keys.partition(LEAVE)
        if before and self._writing:
            with contextlib.suppress(ConnectionClosed):  # the other thread tells
                connection.send(before)
        return bool(keys) and not leaves

    def _tell_size(self, connection: ClientConnection) -> None:
        if self._writing and self._resized and self._screen:
            self._resized = False
            size = list(os.get_terminal_size(1))
            with contextlib.suppress(ConnectionClosed):
                if all(size):  # some terminals do not know how large they are
                    connection.send(json.dumps({"size": size}))

    # --- showing ----------------------------------------------------------------------------------

    def _hear(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"screen": screen}:
                self._screen = screen
            case {"writer": writer, "writing": writing}:
                self._told_who_writes(writer, writing)
            case {"picture": lines, "column": column}:
                drawn = "\r\n".join(on_terminal(line) for line in lines)
                self._show(f"{_CLEAR}{drawn}\x1b[{int(column) + 1}G")
            case {"output": text}:
                self._show(self._cleaned(text))
            case {"gap": gap}:
                self._note(f"bytes {some(gap.get('from'))} to {some(gap.get('to'))} were not kept")
            case {"lost": why}:
                self._note(some(why))
            case {"error": problem}:
                self._refused(problem)
            case {"end": end}:
                raise _Ended(some(end.get("outcome") or end.get("why") or "ended"))
        self._offset = message.get("next", self._offset)

    def _cleaned(self, text: str) -> str:
        if self._screen:
            return on_terminal(text)
        return self._cleaner.feed(text).replace("\n", "\r\n")

    def _told_who_writes(self, writer: str | None, writing: bool) -> None:
        if self._screen and self.write and not writing:
            said = f"{some(writer)} writes here" if writer else "nobody writes here"
            self._note(f"{said}; to take over, attach with --take")
        elif not self._screen:
            self._note("no terminal: what it writes is shown, and nothing can be typed")
        # Who was overtaken does not take it back when the connection is lost.
        self.write = "yes" if writing else ""
        self._resized = self._resized or (writing and not self._writing)
        self._writing = writing

    def _refused(self, problem: Mapping[str, Any]) -> None:
        error = from_problem(dict(problem), 0)
        if self._screen is None and self._offset is None:
            raise error
        self._note(f"{some(error.detail)}; {some(error.hint)}")

    def _note(self, text: str) -> None:
        self._show(f"\r\n{_DIM}[{text}]{_RESET}\r\n")

    @staticmethod
    def _show(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
