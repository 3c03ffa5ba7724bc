"""Reading a run directory: is it alive, how did it end, and what did it say."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from muster.runtimes.base import Exit, Why
from muster.runtimes.characters import begun, continues, missing
from muster.runtimes.kept import Kept, Piece
from muster.runtimes.layout import EXIT, INDEX, LOCK, RECORD, STARTED, STREAMS, TOLD, read_json

__all__ = ["LogItem", "LogPage", "Piece", "RunDir"]

_RECORDS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class LogItem:
    """A part of the merged log: bytes `offset` to `end` of it. `time` is in epoch seconds."""

    offset: int
    time: float
    stream: str
    text: str
    end: int


@dataclass(frozen=True, slots=True)
class LogPage:
    """Parts of the merged log in order; read on at `next`.

    `truncated` reaches from the first to the last byte that was dropped and passed over, or is
    None. What lies within and was kept of the other stream is there as items.
    """

    items: tuple[LogItem, ...]
    next: int
    truncated: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A record of the index."""

    merged: int
    own: int
    time: float
    length: int
    stream: str

    @property
    def end(self) -> int:
        return self.merged + self.length


class RunDir:
    """The record of one run, whether it lives or is over. Every method reads the disk anew."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def started(self) -> bool:
        """Whether the run was ever started."""
        return (self.path / STARTED).exists()

    def told(self) -> bytes:
        """What an interactive run was told on its standard input, redacted."""
        try:
            return (self.path / TOLD).read_bytes()
        except FileNotFoundError:
            return b""

    def alive(self) -> bool:
        """Whether the run's shim lives."""
        try:
            fd = os.open(self.path / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def exit(self) -> Exit | None:
        """How the run ended, or None while it has not."""
        said = read_json(str(self.path / EXIT))
        if said is None:
            return None
        known = {field.name: said[field.name] for field in fields(Exit) if field.name in said}
        limits = tuple(map(str, said.get("limits", ())))
        return Exit(**{**known, "why": Why(said["why"]), "limits": limits})

    def size(self, stream: str) -> int:
        """How many bytes a stream has had so far, dropped ones included."""
        with Kept(self.path, stream) as kept:
            return kept.size()

    def read(self, stream: str, offset: int, limit: int) -> Piece:
        """At most `limit` bytes of a stream (`out` or `err`) from `offset`.

        Where that was dropped, from the first byte after it that is still there.
        """
        with Kept(self.path, stream) as kept:
            return kept.read(offset, limit)

    def log_size(self) -> int:
        """The length of the merged log: the next offset that will be written."""
        with _Log(self.path) as log:
            return log.size()

    def log(self, offset: int, limit: int) -> LogPage:
        """At most `limit` bytes of the merged log from `offset`, as text.

        A character is never cut in two: it belongs to where its first byte is. One of which the
        rest has not come yet is left for the next page, unless the run is over.
        """
        over = self.exit() is not None
        with _Log(self.path) as log:
            return log.page(max(0, offset), limit, over=over)


class _Log:
    """The merged log, opened for one look at it."""

    def __init__(self, folder: Path) -> None:
        self._open = ExitStack()
        self._folder = folder
        self._index = -1

    def __enter__(self) -> Self:
        try:
            self._index = os.open(self._folder / INDEX, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return self
        self._open.callback(os.close, self._index)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def size(self) -> int:
        records = self._records()
        return self._chunk(records - 1).end if records else 0

    def page(self, offset: int, limit: int, *, over: bool) -> LogPage:
        page = _Page(offset, limit, over=over)
        if self._records():
            kept = {name: self._open.enter_context(Kept(self._folder, name)) for name in STREAMS}
            for chunk, is_last in self._chunks(self._first(offset)):
                if not page.take(chunk, kept[chunk.stream], is_last=is_last):
                    break
        return LogPage(tuple(page.items), page.next, page.truncated)

    def _records(self) -> int:
        return 0 if self._index < 0 else os.fstat(self._index).st_size // RECORD.size

    def _chunk(self, number: int) -> _Chunk:
        return _chunk(os.pread(self._index, RECORD.size, number * RECORD.size))

    def _first(self, offset: int) -> int:
        """The number of the record that holds an offset of the merged log."""
        low, high = 0, self._records()
        while high - low > 1:
            middle = (low + high) // 2
            if self._chunk(middle).merged <= offset:
                low = middle
            else:
                high = middle
        return low

    def _chunks(self, number: int) -> Iterator[tuple[_Chunk, bool]]:
        """The records from this one on, and whether each is the last there is."""
        until = self._records()
        while number < until:
            count = min(_RECORDS_AT_ONCE, until - number)
            data = os.pread(self._index, count * RECORD.size, number * RECORD.size)
            for at in range(0, len(data), RECORD.size):
                number += 1
                yield _chunk(data[at : at + RECORD.size]), number == until


class _Page:
    """A page of the merged log while it is put together."""

    def __init__(self, offset: int, limit: int, *, over: bool) -> None:
        self.items: list[LogItem] = []
        self.next = offset
        self.truncated: tuple[int, int] | None = None
        self._room = limit
        self._over = over

    def take(self, chunk: _Chunk, kept: Kept, *, is_last: bool) -> bool:
        """Take what there is room for of a chunk; False when the page ends with it."""
        while self.next < chunk.end:
            own = chunk.own + self.next - chunk.merged
            want = min(self._room, chunk.own + chunk.length - own)
            if want <= 0:
                return False
            piece = kept.read(own, want)
            if piece.offset > own:
                self._skip(min(chunk.end, self.next + piece.offset - own))
                continue
            if not piece.data or not self._add(chunk, kept, piece, is_last=is_last):
                return False
        return True

    def _skip(self, end: int) -> None:
        """Pass over what was dropped."""
        start = self.truncated[0] if self.truncated else self.next
        self.truncated = (start, end)
        self.next = end

    def _add(self, chunk: _Chunk, kept: Kept, piece: Piece, *, is_last: bool) -> bool:
        """Add the characters that begin in a piece; False when there is none yet."""
        data, rest = piece.data, b""
        if lacks := missing(data):
            after = kept.read(piece.next, lacks)
            rest = after.data if after.offset == piece.next else b""
            is_end = is_last and piece.next >= chunk.own + chunk.length
            if len(rest) < lacks and is_end and not self._over:
                data, rest = data[: len(data) - begun(data)], b""
        if not data:
            return False
        start = continues(data, self._lacking_before(kept, piece.offset, data))
        text = (data[start:] + rest[: continues(rest, lacks)]).decode("utf-8", "replace")
        end = self.next + len(data)
        if text:
            self.items.append(LogItem(self.next, chunk.time, chunk.stream, text, end))
        self.next = end
        self._room -= len(data)
        return True

    def _lacking_before(self, kept: Kept, own: int, data: bytes) -> int:
        """How many bytes are due to a character that began before `own`."""
        if not own or not continues(data, 1):
            return 0
        before = kept.read(max(0, own - 3), min(3, own))
        return missing(before.data) if before.next == own else 0


def _chunk(record: bytes) -> _Chunk:
    merged, own, epoch, length, stream = RECORD.unpack(record)
    return _Chunk(merged, own, epoch / 1000, length, STREAMS[stream])
