"""Following one run from its start to its end, whoever started it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muster.runtimes.base import Exit, Runtime
from muster.runtimes.rundir import RunDir

_PIECE = 256 * 1024
_LOOK_AGAIN = 2.0


@dataclass(slots=True)
class Follower:
    """A run under watch; `stopped` says why it was asked to end, if it was; `over`: it has ended.

    `news` waits for what else its watcher wants to be woken by.
    """

    runtime: Runtime
    run_dir: Path
    wish: asyncio.Event
    stopped: str = ""
    news: Callable[[], Coroutine[Any, Any, object]] | None = None
    over: bool = field(default=False, init=False)
    _exit: Exit | None = field(default=None, init=False)

    async def stop(self, why: str) -> None:
        """Ask the run to end, once."""
        if not self.stopped:
            self.stopped = why
            await self.runtime.stop(self.run_dir)

    async def tell(self, data: bytes, patience: float) -> bool:
        """Write to the run's standard input; False when it is asked to end instead.

        A program that takes nothing in for so many seconds is not waited for any longer, and none
        that a person wants to end.

        Raises:
            Conflict: the run is over or takes no input.
        """
        told = asyncio.ensure_future(self.runtime.send(self.run_dir, data))
        wished = asyncio.ensure_future(self.wish.wait())
        first = asyncio.FIRST_COMPLETED
        try:
            await asyncio.wait((told, wished), timeout=patience, return_when=first)
            if told.done():
                told.result()
                return True
        finally:
            for one in (told, wished):
                one.cancel()
            await asyncio.gather(told, wished, return_exceptions=True)
        await self.stop("cancelled" if self.wish.is_set() else "deaf")
        return False

    async def pieces(self) -> AsyncIterator[bytes]:
        """Standard output from its first byte, as it grows, until the run is over.

        An empty piece says that time passed. What the run directory dropped from the middle of a
        flood is passed over.
        """
        grown = asyncio.Event()
        over = asyncio.ensure_future(self.runtime.wait(self.run_dir, grown.set))
        reader = RunDir(self.run_dir)
        offset = 0
        try:
            while True:
                ended = self.over = over.done()
                grown.clear()
                data, offset = _next_piece(reader, offset)
                yield data
                if data:
                    await asyncio.sleep(0)
                    continue
                if ended:
                    self._exit = over.result()
                    return
                await self._something(over, grown)
        finally:
            if not over.done():
                over.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await over

    @property
    def exit(self) -> Exit:
        """How the run ended; there once `pieces` is exhausted."""
        if self._exit is None:
            raise RuntimeError("the run is not over")
        return self._exit

    async def _something(self, over: asyncio.Future[Exit], grown: asyncio.Event) -> None:
        waits: list[asyncio.Future[Any]] = [over, asyncio.ensure_future(grown.wait())]
        if not self.stopped:
            waits.append(asyncio.ensure_future(self.wish.wait()))
        if self.news is not None:
            waits.append(asyncio.ensure_future(self.news()))
        try:
            await asyncio.wait(waits, timeout=_LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits[1:]:
                wait.cancel()
        if self.wish.is_set() and not over.done():
            await self.stop("cancelled")


def _next_piece(reader: RunDir, offset: int) -> tuple[bytes, int]:
    piece = reader.read("out", offset, _PIECE)
    return piece.data, piece.next


async def run_to_end(
    runtime: Runtime, run_dir: Path, wish: asyncio.Event, on_piece: Callable[[bytes], None]
) -> Exit:
    """Follow a run whose output nobody needs to understand; a wish to end stops it."""
    follower = Follower(runtime, run_dir, wish)
    async for data in follower.pieces():
        if data:
            on_piece(data)
    return follower.exit
