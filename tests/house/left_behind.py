"""What the tests of one process left behind: programs that still run, and what is still mounted.

Told by a mark in the environment of what they start, and by the folders they were given: beside
other workers and other people's runs, a process answers for what is its own.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_MARK = "HOUSE_OF_TESTS"
_folders: set[bytes] = set()


def begin() -> None:
    """Mark everything that is started from now on."""
    os.environ[_MARK] = f"{os.getpid()}-{time.time_ns()}"


def belongs(folder: Path) -> None:
    """Take a folder, and what is below it, for one of this process's own."""
    _folders.add(os.fsencode(folder))


def found(patience: float) -> list[str]:
    """What is there and should not be, a line each, once it has had so many seconds to end."""
    deadline = time.monotonic() + patience
    while (there := [*_programs(), *_mounts()]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return there


def _programs() -> list[str]:
    mark = os.fsencode(f"{_MARK}={os.environ[_MARK]}")
    told = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        try:
            environ = (entry / "environ").read_bytes()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:  # it has ended, or is not ours to look at
            continue
        if mark in environ.split(b"\0") or _is_ours(environ) or _is_ours(line):
            told.append(f"process {entry.name}: {line[:300].decode(errors='replace')}")
    return told


def _mounts() -> list[str]:
    try:
        lines = Path("/proc/self/mounts").read_bytes().splitlines()
    except OSError:
        return []
    points = [line.split()[1] for line in lines]
    return [f"mount: {os.fsdecode(point)}" for point in points if _is_ours(point)]


def _is_ours(text: bytes) -> bool:
    return any(folder + b"/" in text for folder in _folders)
