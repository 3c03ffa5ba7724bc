"""The program that plays one take of a cassette, as if it were the agent that was recorded.

`python -I -m muster.agents.replay CASSETTE [--take N] [--speed N]`, in the workspace. Speed 2 is
twice as fast, 0 does not wait at all. Its first line of output says that it is a rehearsal.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from muster.agents.cassette import Cassette, Line, read
from muster.domain.errors import MusterError

BROKEN = 2
"""The exit status when the cassette cannot be played as it is."""


def announcement(cassette: Cassette, take: int) -> bytes:
    """The first line of every replay."""
    number = min(max(take, 1), len(cassette.takes))
    source = f", recorded from {' '.join(cassette.source.split())}" if cassette.source else ""
    said = (
        f"rehearsal: take {number} of {len(cassette.takes)} is replayed{source}; no model is asked"
    )
    return f"{said}\n".encode()


def play(
    lines: Sequence[Line],
    folder: Path,
    out: BinaryIO,
    err: BinaryIO,
    wait_until: Callable[[float], None],
) -> int:
    """Play a take in `folder`; the exit status it ends with.

    `wait_until` is told the second of the take at which the next line is due.

    Raises:
        OSError: a file of the take cannot be written or deleted where it should be.
    """
    for line in lines:
        wait_until(line.t)
        if line.kind == "exit":
            return line.code
        _do(line, folder, out, err)
    return 0


def _do(line: Line, folder: Path, out: BinaryIO, err: BinaryIO) -> None:
    if line.kind == "write":
        _write(folder, line)
    elif line.kind == "delete":
        _delete(folder, line)
    else:
        stream = out if line.kind == "out" else err
        stream.write(line.data)
        stream.flush()


@contextlib.contextmanager
def _parent(folder: Path, path: str, *, make: bool) -> Iterator[tuple[int, str]]:
    """The folder that holds `path`, opened step by step so that no link leads out of it."""
    *above, name = path.split("/")
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in above:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        yield here, name
    finally:
        os.close(here)


def _write(folder: Path, line: Line) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with _parent(folder, line.path, make=True) as (parent, name):
        number = os.open(name, flags, line.mode, dir_fd=parent)
        with os.fdopen(number, "wb") as file:
            file.write(line.data)
            os.fchmod(file.fileno(), line.mode)


def _delete(folder: Path, line: Line) -> None:
    """Delete a file; one that is not there is deleted already."""
    with (
        contextlib.suppress(FileNotFoundError),
        _parent(folder, line.path, make=False) as (parent, name),
    ):
        os.unlink(name, dir_fd=parent)


def paced(speed: float) -> Callable[[float], None]:
    """A clock that starts now and lets a take's seconds pass `speed` times as fast."""
    start = time.monotonic()

    def wait_until(t: float) -> None:
        left = start + t / speed - time.monotonic() if speed > 0 else 0.0
        if left > 0:
            time.sleep(left)

    return wait_until


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="muster.agents.replay", description=__doc__)
    parser.add_argument("cassette", type=Path)
    parser.add_argument("--take", type=int, default=1)
    parser.add_argument("--speed", type=float, default=1.0)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Play in the current folder; the exit status of the take, or 2 when it cannot be played."""
    given = _arguments(argv)
    out, err = sys.stdout.buffer, sys.stderr.buffer
    try:
        cassette = read(given.cassette)
        out.write(announcement(cassette, given.take))
        out.flush()
        return play(cassette.take(given.take), Path.cwd(), out, err, paced(given.speed))
    except (MusterError, OSError) as error:
        err.write(f"rehearsal: {error}\n".encode("utf-8", "replace"))
        return BROKEN


if __name__ == "__main__":
    # An interrupt ends it as it would end any program.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
