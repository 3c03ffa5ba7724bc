"""The run directory: what lies in it under which name, shared by the shim and its readers.

It is the one contract of every place. A run directory holds:

- `started`: made once by the shim that may run the program; it is there for ever after.
- `lock`: held with flock by the shim as long as it lives.
- `spec.json`: what was asked for, without the values of the environment.
- `shim.json`: who supervises and by what the run's processes are found (`Traces`).
- `out`, `err`: the first bytes of each redacted stream; what comes after the head is in segments
  `out.<offset>`, of which the oldest are dropped.
- `in`: what an interactive run was told on its standard input, redacted, from its first byte.
- `index`: one `RECORD` for each chunk, in the order of the merged log.
- `ctl`: the shim's socket, while it lives.
- `place.json`: what a place that runs the program elsewhere (a container) told of its end.
- `engine`: the socket that stands in for a container engine's, while the shim lives (`alarms`).
- `refused`: what a contained run was kept from (`refusals`).
- `exit.json`: how it ended, written once, when none of its processes is left.

The shim is forked for every run, so this file and what it needs stays light.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Mapping
from typing import Any

STARTED = "started"
LOCK = "lock"
SPEC = "spec.json"
SHIM = "shim.json"
INDEX = "index"
TOLD = "in"
CTL = "ctl"
PLACE = "place.json"
EXIT = "exit.json"
STREAMS = ("out", "err")
_RESERVE, _RESERVED = ".exit.json", 4096

RECORD = struct.Struct("<QQQII")
"""A chunk: offset in the merged log, offset in its stream, epoch milliseconds, length, stream."""

RUN_ID = "MUSTER_RUN_ID"
"""The variable by which a program, and a person looking at it, knows its run."""
MARK = "MUSTER_RUN_MARK"
"""The variable by which a run's processes are found; random, so that it is never another's."""

# --- what is said on the control socket -----------------------------------------------------------

FRAME = struct.Struct("<cI")
"""A request: what, and how many bytes follow."""
LONGEST_FRAME = 65536
WATCH, STOP, KILL, DATA, EOF = b"w", b"s", b"k", b"d", b"e"
GREW, YES, NO = b"o", b"y", b"n"
"""Answers, one byte each; `GREW` is only sent to those who watch, and only as a hint."""


def write_at_once(folder: str, name: str, data: bytes) -> None:
    """Put a file in place at once: readers see all of it or nothing."""
    temporary = f"{folder}/.{name}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)
    os.rename(temporary, f"{folder}/{name}")  # noqa: PTH104 - pathlib is too heavy for the shim


def reserve_exit(folder: str) -> None:
    """Take the room that the exit will need, so that a full disk cannot keep it from being told."""
    fd = os.open(f"{folder}/{_RESERVE}", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(fd, 0, _RESERVED)
    finally:
        os.close(fd)


def write_exit(folder: str, report: Mapping[str, Any]) -> None:
    """Say durably how a run ended, in the reserved room if there is some."""
    data = json.dumps(report).encode()
    fd = os.open(f"{folder}/{_RESERVE}", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(f"{folder}/{_RESERVE}", f"{folder}/{EXIT}")  # noqa: PTH104
    sync_folder(folder)


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_json(path: str) -> dict[str, Any] | None:
    """A document written by `write_json`, or None when it is not there."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib is too heavy for the shim
            value = json.loads(file.read())
    except FileNotFoundError:
        return None
    return value if isinstance(value, dict) else None


def read_text(path: str) -> str:
    """A small file of the kernel's, or nothing when it is gone or not ours to read."""
    with contextlib.suppress(OSError), open(path, "rb") as file:  # noqa: PTH123
        return file.read().decode("utf-8", "replace")
    return ""
