"""What is kept of one output stream on disk: its head, its last segments, and the gap between."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_TRIES = 100


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of one stream. `data` begins at `offset`; read on at `next`.

    `truncated` is the range that was dropped and passed over before `offset`, or None.
    """

    offset: int
    data: bytes
    next: int
    truncated: tuple[int, int] | None = None


class Kept:
    """One stream as it was at one moment: what is dropped while it is open stays readable."""

    def __init__(self, folder: Path, stream: str) -> None:
        self._parts: list[tuple[int, int]] = []  # where it begins, descriptor
        for _ in range(_TRIES):
            if self._open(folder, stream):
                return
            self.close()
        raise RuntimeError(f"the output in {folder} changes faster than it can be opened")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        for _, fd in self._parts:
            os.close(fd)
        self._parts = []

    def size(self) -> int:
        """How many bytes the stream has had, dropped ones included."""
        if not self._parts:
            return 0
        begins, fd = self._parts[-1]
        return begins + os.fstat(fd).st_size

    def read(self, offset: int, limit: int) -> Piece:
        """At most `limit` bytes from `offset`, or from the first byte after it that was kept."""
        start = at = max(0, offset)
        data = b""
        truncated = None
        for begins, fd in self._parts:
            if len(data) >= limit:
                break
            if begins > at:
                if data:
                    break  # the gap is for the next read to tell of
                truncated, start, at = (start, begins), begins, begins
            part = os.pread(fd, limit - len(data), at - begins)
            data += part
            at += len(part)
        return Piece(start, data, at, truncated)

    def _open(self, folder: Path, stream: str) -> bool:
        """Open all files; False when one was dropped meanwhile."""
        prefix = f"{stream}."
        try:
            names = {path.name for path in folder.iterdir()}
        except FileNotFoundError:
            return True
        if stream not in names:
            return True
        starts = sorted(
            int(name.removeprefix(prefix))
            for name in names
            if name.startswith(prefix) and name.removeprefix(prefix).isdigit()
        )
        try:
            self._add(0, folder / stream)
            for begins in starts:
                self._add(begins, folder / f"{prefix}{begins}")
        except FileNotFoundError:
            return False
        return True

    def _add(self, begins: int, path: Path) -> None:
        self._parts.append((begins, os.open(path, os.O_RDONLY | os.O_NOFOLLOW)))
