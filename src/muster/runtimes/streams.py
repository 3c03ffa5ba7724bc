"""The output of a run on its way to disk: capped files, and the index that keeps their order."""

from __future__ import annotations

import contextlib
import os
from collections import deque

from muster.runtimes.layout import INDEX, RECORD, STREAMS

_SMALLEST_SEGMENT = 65536
_COALESCE = 0.05
_LONGEST_CHUNK = 1 << 20
_TRY_AGAIN = 0.5
_BURST = 4096.0
_RECORDS_PER_SECOND = 40.0
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


class CappedFile:
    """A stream of which the first and the last bytes are kept.

    The head lies in `name`; what follows in segments `name.<offset>`. The oldest segment goes as
    soon as the others hold the tail alone, so that a little more than asked for stays.
    """

    def __init__(self, folder: str, name: str, head_bytes: int, tail_bytes: int) -> None:
        self._path = f"{folder}/{name}"
        self._tail_bytes = tail_bytes
        self._segment_bytes = max(_SMALLEST_SEGMENT, tail_bytes // 8)
        self._segments: deque[list[int]] = deque()  # [start, length]
        self._room = head_bytes
        self._fd = os.open(self._path, _FLAGS, 0o600)
        self.total = 0

    def write(self, data: bytes) -> None:
        """Append; `total` counts what was taken even when an error comes in the middle.

        Raises:
            OSError: the disk is full, for example; what `total` does not count was not taken.
        """
        view = memoryview(data)
        while view:
            if not self._room:
                self._next_segment()
            written = os.write(self._fd, view[: self._room])
            view = view[written:]
            self.total += written
            self._room -= written
            if self._segments:
                self._segments[-1][1] += written

    def _next_segment(self) -> None:
        fresh = os.open(f"{self._path}.{self.total}", _FLAGS, 0o600)
        os.close(self._fd)
        self._fd, self._room = fresh, self._segment_bytes
        self._segments.append([self.total, 0])
        kept = sum(length for _, length in self._segments)
        while kept - self._segments[0][1] >= self._tail_bytes and len(self._segments) > 1:
            start, length = self._segments.popleft()
            kept -= length
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}.{start}")  # noqa: PTH108 - pathlib is too heavy here

    def sync(self) -> None:
        """Make what was written durable."""
        if self.total:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


class Index:
    """Which chunk came when, so that two streams can be read as one log.

    A chunk that follows one of the same stream within 50 ms makes it longer instead. Programs that
    change streams with every byte would fill the disk with records, so beyond a generous burst the
    chunks of 50 ms are recorded together, one for each stream.
    """

    def __init__(self, folder: str) -> None:
        self._fd = os.open(f"{folder}/{INDEX}", _FLAGS, 0o600)
        self._position = 0
        self._total = 0
        self._ends = [0] * len(STREAMS)
        self._last: tuple[int, int, int, int, int] | None = None  # the fields of a record
        self._last_at = 0.0
        self._waiting = [0] * len(STREAMS)
        self._records = _BURST
        self._counted_at = 0.0
        self.due: float | None = None
        """When `flush` is to be called, on the monotonic clock."""

    def add(self, stream: int, length: int, now: float, epoch: float) -> None:
        """Record that `length` bytes were appended to a stream."""
        if self.due is not None:
            self._waiting[stream] += length
            return
        try:
            if self._goes_on(stream, length, now):
                self._extend(length)
            elif self._may_begin(now):
                self._begin(stream, length, now, epoch)
            else:
                self._later(stream, length, now + _COALESCE)
        except OSError:
            self._later(stream, length, now + _TRY_AGAIN)

    def flush(self, now: float, epoch: float) -> None:
        """Record what had to wait; what the disk has no room for waits on."""
        self.due = None
        for stream, length in enumerate(self._waiting):
            if not length:
                continue
            try:
                self._begin(stream, length, now, epoch)
            except OSError:
                self.due = now + _TRY_AGAIN
            else:
                self._waiting[stream] = 0

    def sync(self) -> None:
        """Make what was recorded durable."""
        if self._total:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _later(self, stream: int, length: int, due: float) -> None:
        self._waiting[stream] += length
        self.due = due

    def _goes_on(self, stream: int, length: int, now: float) -> bool:
        if self._last is None:
            return False
        _, _, _, had, last = self._last
        near = now - self._last_at < _COALESCE
        return last == stream and near and had + length <= _LONGEST_CHUNK

    def _may_begin(self, now: float) -> bool:
        gained = (now - self._counted_at) * _RECORDS_PER_SECOND
        self._records = min(_BURST, self._records + gained)
        self._counted_at = now
        return self._records >= 1.0

    def _begin(self, stream: int, length: int, now: float, epoch: float) -> None:
        position = self._position + (RECORD.size if self._last else 0)
        chunk = (self._total, self._ends[stream], int(epoch * 1000), length, stream)
        self._put(position, chunk, length)
        self._position, self._last_at = position, now
        self._records -= 1.0

    def _extend(self, length: int) -> None:
        if self._last is not None:
            merged, own, epoch, had, stream = self._last
            self._put(self._position, (merged, own, epoch, had + length, stream), length)

    def _put(self, position: int, chunk: tuple[int, int, int, int, int], grown: int) -> None:
        os.pwrite(self._fd, RECORD.pack(*chunk), position)
        self._last = chunk
        self._total += grown
        self._ends[chunk[-1]] += grown
