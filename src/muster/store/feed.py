"""The feed: wakes those who follow the store when something was committed.

A wake-up is only a hint; whoever waits reads the store again and would also find the change by
asking now and then. The newest events are kept here as well, so that each of many followers need
not read them from the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from muster.domain.event import Event


class Feed:
    """The number of the newest committed event, and a way to wait for a newer one."""

    def __init__(self, kept: int = 256) -> None:
        """Start at nothing, bound to no loop yet; `kept` of the newest events are at hand."""
        self._kept = kept
        self._rev = 0
        self._moved = 0
        self._newest: tuple[Event, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def rev(self) -> int:
        """The newest number known here."""
        return self._rev

    @property
    def moved(self) -> int:
        """The number of the newest event that may let some task go on."""
        return self._moved

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver wake-ups on this loop."""
        self._loop = loop

    def advance(self, rev: int, moved: int = 0, events: Sequence[Event] = ()) -> None:
        """Tell that events up to `rev` are committed; may be called from any thread.

        `moved` is the number of the newest among them that changed a task, the queue or a project.
        `events` are all of them since the last call, in order; none when they are not at hand.
        """
        self._moved = max(self._moved, moved)
        if rev <= self._rev:
            return
        follows = bool(events) and events[0].rev == self._rev + 1
        self._newest = (*(self._newest if follows else ()), *events)[-self._kept :]
        self._rev = rev
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def since(self, rev: int, limit: int) -> Sequence[Event] | None:
        """Up to `limit` events above `rev` in order; None when only the store has them all."""
        newest = self._newest
        first = newest[0].rev if newest else self._rev + 1
        if rev < first - 1:
            return None
        return newest[rev - first + 1 :][:limit]

    def forget(self) -> None:
        """Have the next reader ask the store: a mark was put on an event."""
        self._newest = ()

    async def wait_moved(self, moved: int, seconds: float) -> int:
        """Like `wait`, but only for what may let some task go on."""
        end = asyncio.get_running_loop().time() + seconds
        while self._moved <= moved:
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await self.wait(self._rev, left)
        return self._moved

    async def wait(self, rev: int, seconds: float) -> int:
        """Return the newest number as soon as it is above `rev`, or after `seconds`."""
        if self._rev > rev:
            return self._rev
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            # Not `wait_for`: in Python 3.11 it loses a cancellation that meets the wake-up.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await future
        finally:
            self._waiting.discard(future)
        return self._rev
