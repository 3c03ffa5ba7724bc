"""How far somebody who follows the store's events has come, in a file that outlives the server."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from muster.store.base import Store
from muster.whole_file import write_whole


class Mark:
    """The number of the last event that was dealt with."""

    def __init__(self, path: Path, store: Store) -> None:
        self._path = path
        self._store = store

    def seen(self) -> int:
        """Where to go on; what is older than the first time is nobody's."""
        with contextlib.suppress(OSError, ValueError):
            return int(self._path.read_text("utf-8"))
        self._write(self._store.feed.rev)
        return self._store.feed.rev

    async def keep(self, rev: int) -> None:
        """Everything up to this event has been dealt with."""
        await asyncio.to_thread(self._write, rev)

    def _write(self, rev: int) -> None:
        write_whole(self._path, f"{rev}\n".encode())
