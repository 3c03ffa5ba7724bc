"""A run's session on the private tmux server, looked at and typed into through control mode.

Keys go to the pane and never to tmux itself, so that nobody who types here reaches its commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from muster.domain.errors import Refused
from muster.runtimes.screens import Picture
from muster.runtimes.tmux_client import Connection, no_server

_PATIENCE = 10.0
_KEYS_AT_ONCE = 256
_HISTORY = 2000
_OCTAL = re.compile(rb"\\([0-7]{3})")
_OURS = b"1"


class TmuxScreen(Connection):
    """One session as one client sees it; see `Screen`."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._shown: asyncio.Queue[bytes] = asyncio.Queue()
        self._at = 0
        self._asked: deque[asyncio.Future[tuple[list[str], int]]] = deque()
        self._attached = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._gone = False
        self._target = ""

    @classmethod
    async def attach(
        cls, tmux: str, socket: Path, env: Mapping[str, str], session: str
    ) -> TmuxScreen:
        """Attach to a session.

        Raises:
            Refused: there is no server, or no such session.
        """
        screen = await cls.open(tmux, socket, env, ("attach-session", "-t", f"={session}"))
        screen._target = f"={session}:"
        screen._listening = asyncio.create_task(screen._listen())
        try:
            async with asyncio.timeout(_PATIENCE):
                await screen._attached.wait()
        except TimeoutError as error:
            await screen.close()
            raise no_server(socket, "no answer") from error
        if screen._gone:
            await screen.close()
            raise no_server(socket, f"the session {session} has gone")
        return screen

    async def read(self) -> bytes:
        """What it shows next; empty when it has gone."""
        if self._gone and self._shown.empty():
            return b""
        return await self._shown.get()

    async def picture(self) -> Picture:
        """What it shows now, with what has left it at the top."""
        where = "#{cursor_x} #{cursor_y} #{history_size}"
        first = self._ask("display-message", "-p", "-t", self._target, where)
        then = self._ask("capture-pane", "-p", "-e", "-S", f"-{_HISTORY}", "-t", self._target)
        (cursor, _), (lines, at) = await asyncio.gather(self._answer(first), self._answer(then))
        column, row, above = (int(word) for word in cursor[0].split())
        return Picture(tuple(lines[: min(above, _HISTORY) + row + 1]), column, at)

    async def type(self, data: bytes) -> None:
        """Press these keys."""
        for start in range(0, len(data), _KEYS_AT_ONCE):
            keys = [f"{byte:02x}" for byte in data[start : start + _KEYS_AT_ONCE]]
            await self._answer(self._ask("send-keys", "-t", self._target, "-H", *keys))

    async def resize(self, columns: int, rows: int) -> None:
        """Be a terminal of this size."""
        await self._answer(self._ask("refresh-client", "-C", f"{columns},{rows}"))

    @override
    async def close(self) -> None:
        """Look no more; the session stays."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        await super().close()

    # --- asking -----------------------------------------------------------------------------------

    def _ask(self, *command: str) -> asyncio.Future[tuple[list[str], int]]:
        if self._gone:
            raise no_server(self._socket, "it has gone")
        answer = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        try:
            self._tell(*command)
        except OSError as error:
            raise no_server(self._socket, str(error)) from error
        return answer

    async def _answer(self, asked: asyncio.Future[tuple[list[str], int]]) -> tuple[list[str], int]:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asked
        except TimeoutError as error:
            raise no_server(self._socket, "no answer") from error

    # --- hearing ----------------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            await self._hear()
        finally:
            self._gone = True
            self._attached.set()
            self._shown.put_nowait(b"")
            for asked in self._asked:
                if not asked.done():
                    asked.set_exception(no_server(self._socket, "it has gone"))

    async def _hear(self) -> None:
        """Take in what it shows and what it answers, in the order in which it says so."""
        block: list[bytes] = []
        begun: Sequence[bytes] = ()
        async for raw in self._reader:
            line = raw.rstrip(b"\n")
            word, _, rest = line.partition(b" ")
            if begun:
                # An answer ends with the numbers that it began with: its lines are a stranger's.
                if word in (b"%end", b"%error") and rest.split(b" ") == begun:
                    if begun[-1] == _OURS:
                        self._answered(block, refused=word == b"%error")
                    begun = ()
                else:
                    block.append(line)
            elif word == b"%begin":
                begun, block = rest.split(b" "), []
            elif word == b"%output":
                self._add(_OCTAL.sub(_byte, rest.partition(b" ")[2]))
            elif word == b"%session-changed":
                self._attached.set()
            elif word == b"%exit":
                return

    def _add(self, data: bytes) -> None:
        if data:
            self._at += len(data)
            self._shown.put_nowait(data)

    def _answered(self, block: list[bytes], *, refused: bool) -> None:
        asked = self._asked.popleft()
        lines = [line.decode("utf-8", "replace") for line in block]
        if asked.done():
            return  # nobody waits any more
        if refused:
            asked.set_exception(Refused(f"tmux refused it: {' '.join(lines)}"))
        else:
            asked.set_result((lines, self._at))


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8) & 0xFF])
