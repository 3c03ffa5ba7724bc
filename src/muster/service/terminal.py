"""One run's screen as all who look at it share it: what was shown, and the one who writes.

What is shown is kept for a while by the place in the output behind it, so that whoever comes back
goes on where they were; whoever is new, or too far behind, gets the picture first.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from muster.domain.errors import Conflict
from muster.domain.plain import on_terminal
from muster.runtimes.screens import Screen

KEPT = 256 * 1024
"""Characters of output that are kept for those who are behind."""
_MOST_PIECES = 4096
_TOGETHER = 64

Message = dict[str, Any]

_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8})?\Z")


class _Piece(NamedTuple):
    """Output up to `end`."""

    start: int
    end: int
    text: str


class Terminal:
    """A screen, those who look, and who of them writes."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.name = secrets.token_hex(8)
        self.next = 0
        self.writer: Viewer | None = None
        self.gone = False
        self.viewers: set[Viewer] = set()
        self._pieces: deque[_Piece] = deque()
        self._held = 0
        self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Look no more."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        await self.screen.close()

    def since(self, position: int) -> list[_Piece] | None:
        """What was shown after a place in the output; None when that is kept no more."""
        after: list[_Piece] = []
        reached = self.next
        for piece in reversed(self._pieces):
            if reached <= position:
                break
            after.append(piece)
            reached = piece.start
        return after[::-1] if reached == position else None

    def write_by(self, viewer: Viewer | None) -> None:
        """Have this one write from now on, and tell all."""
        self.writer = viewer
        for each in self.viewers:
            each.tell_who_writes()

    async def _read(self) -> None:
        decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
        try:
            while data := await self.screen.read():
                text = rest + decoder.decode(data)
                cut = _UNFINISHED.search(text)
                text, rest = (text[: cut.start()], text[cut.start() :]) if cut else (text, "")
                self._add(_Piece(self.next, self.next + len(data), on_terminal(text)))
        finally:
            self.gone = True
            self._stir()

    def _add(self, piece: _Piece) -> None:
        self._pieces.append(piece)
        self._held += len(piece.text)
        while self._held > KEPT or len(self._pieces) > _MOST_PIECES:
            self._held -= len(self._pieces.popleft().text)
        self.next = piece.end
        self._stir()

    def _stir(self) -> None:
        for viewer in self.viewers:
            viewer.stirred.set()


class Viewer:
    """One who looks at a terminal, and may write when nobody else does."""

    def __init__(self, terminal: Terminal, who: str, position: int | None) -> None:
        """Look on from a place in the output, or from the picture."""
        self.who = who
        self.stirred = asyncio.Event()
        self._terminal = terminal
        self._position = position
        self._knows_who_writes = False
        terminal.viewers.add(self)

    @property
    def writes(self) -> bool:
        """Whether this is the one."""
        return self._terminal.writer is self

    def tell_who_writes(self) -> None:
        """Say who writes now, when the next message is due."""
        self._knows_who_writes = False
        self.stirred.set()

    def take(self, *, over: bool) -> None:
        """Write from now on; from another's hands only when that is wished."""
        terminal = self._terminal
        if terminal.writer is None or (over and not self.writes):
            terminal.write_by(self)

    async def type(self, data: bytes) -> None:
        """Press these keys.

        Raises:
            Conflict: another writes, or nobody was asked to.
            Refused: the screen has gone.
        """
        self._must_write()
        await self._terminal.screen.type(data)

    async def resize(self, columns: int, rows: int) -> None:
        """Give the screen the size of the writer's terminal.

        Raises:
            Conflict: another writes.
            Refused: the screen has gone.
        """
        self._must_write()
        await self._terminal.screen.resize(columns, rows)

    def _must_write(self) -> None:
        writer = self._terminal.writer
        if writer is not self:
            raise Conflict(
                f"{writer.who if writer else 'nobody'} writes here", hint="take over to write"
            )

    async def messages(self) -> AsyncIterator[Message]:
        """What this one is to be told, until the screen has gone."""
        terminal = self._terminal
        yield {"screen": terminal.name}
        while True:
            self.stirred.clear()
            if not self._knows_who_writes:
                self._knows_who_writes, writer = True, terminal.writer
                yield {"writer": writer.who if writer else None, "writing": self.writes}
            gone = terminal.gone
            pieces = None if self._position is None else terminal.since(self._position)
            if pieces is None:
                if gone:
                    return
                yield await self._picture()
                continue
            for start in range(0, len(pieces), _TOGETHER):
                some = pieces[start : start + _TOGETHER]
                self._position = some[-1].end
                yield {"output": "".join(p.text for p in some), "next": self._position}
            if gone:
                return
            if not pieces:
                await self.stirred.wait()

    async def _picture(self) -> Message:
        picture = await self._terminal.screen.picture()
        while self._terminal.next < picture.at and not self._terminal.gone:
            self.stirred.clear()
            await self.stirred.wait()
        self._position = picture.at
        lines = [on_terminal(line) for line in picture.lines]
        return {"picture": lines, "column": picture.column, "next": picture.at}

    def leave(self) -> None:
        """Look and write no more."""
        terminal = self._terminal
        terminal.viewers.discard(self)
        if terminal.writer is self:
            terminal.write_by(None)
