"""The requests of the last hour in a file, so that a server that was killed does not forget them.

Each is a line that is on the disk before its request is made: who dies in between has counted one
too many, and never one too few.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from muster.whole_file import sync_folder, write_whole

Noted = tuple[str, float]
"""A project, and the seconds since it made a request."""

_MOST_LINES = 10_000
"""After so many lines the file is written anew with those that count."""


class Ledger:
    """A file with one writer, by the clock of the wall, which goes on while no server runs."""

    def __init__(
        self,
        path: Path,
        seconds: float,
        clock: Callable[[], float] = time.time,
        most_lines: int = _MOST_LINES,
    ) -> None:
        """Keep what was noted in so many last seconds; nothing is read yet."""
        self._path, self._seconds, self._clock = path, seconds, clock
        self._lines, self._most_lines = 0, most_lines
        self._one = threading.Lock()

    def begin(self) -> list[Noted]:
        """What was noted before, oldest first; the file is left with that alone.

        Raises:
            OSError: it cannot be read or written.
        """
        with self._one:
            found = list(self._read())
            self._write(found)
            return found

    def note(self, project: str) -> None:
        """Note a request that is about to be made.

        Raises:
            OSError: it cannot be kept.
        """
        with self._one:  # also of one whose asker was cancelled and did not wait for it
            if self._lines >= self._most_lines:
                self._write(list(self._read()))
            # A line that fails in the middle is cut off, so that the next writes the file anew.
            lines, self._lines = self._lines, self._most_lines
            with self._path.open("ab") as file:
                file.write(_line(project, self._clock()))
                file.flush()
                os.fsync(file.fileno())
            self._lines = lines + 1

    def _read(self) -> Iterator[Noted]:
        """What counts still; of a line that was cut off its request was never made."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        now = self._clock()
        for line in data.split(b"\n")[:-1]:
            try:
                project, at = json.loads(line)
                age = max(0.0, now - float(at))
            except (ValueError, TypeError):
                continue  # no line of ours
            if age < self._seconds:
                yield str(project), age

    def _write(self, noted: Iterable[Noted]) -> None:
        now = self._clock()
        lines = [_line(project, now - age) for project, age in noted]
        write_whole(self._path, b"".join(lines))
        sync_folder(self._path.parent)
        self._lines = 0


def _line(project: str, at: float) -> bytes:
    return json.dumps([project, at]).encode() + b"\n"
