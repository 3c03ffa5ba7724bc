"""A run directory that is far away, kept as an exact twin here, file by file.

The far side is asked for what is new since the sizes that lie here; what comes is written at its
place, so that the same piece may come twice, from whoever. The index follows the streams: it never
tells of bytes that are not here yet.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.runtimes.kept import Kept
from muster.runtimes.layout import EXIT, INDEX, RECORD, SHIM, SPEC, STREAMS, TOLD, write_at_once
from muster.runtimes.refusals import REFUSED

PIECE = 1 << 19
"""Bytes of output that one answer carries at most."""


def sizes(folder: Path) -> dict[str, int]:
    """How long each file of output is, and the records of what the run was told and refused."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if _is_output(path.name):
                with contextlib.suppress(FileNotFoundError):
                    found[path.name] = path.stat().st_size
    return found


def news(folder: Path, have: Mapping[str, int]) -> tuple[list[dict[str, Any]], bytes]:
    """What is new since `have`, oldest first: `{name, at, length}` each, and all their bytes."""
    parts: list[dict[str, Any]] = []
    data = bytearray()
    now = sizes(folder)
    for name in sorted(now, key=_order):
        at, room = have.get(name, 0), PIECE - len(data)
        if now[name] <= at and name in have and not (name == INDEX and data):
            continue
        if name == INDEX:  # its last record may have grown in its place
            at = max(0, at - RECORD.size)
        piece = _read(folder / name, at, min(room, max(0, now[name] - at)))
        if piece is not None:
            parts.append({"name": name, "at": at, "length": len(piece)})
            data += piece
        if len(data) >= PIECE:
            break
    return parts, bytes(data)


def last_record(folder: Path) -> str:
    """The last record of the index, in hex; it is rewritten while its chunk grows."""
    with contextlib.suppress(FileNotFoundError):
        data = (folder / INDEX).read_bytes()[-RECORD.size :]
        return data.hex() if len(data) == RECORD.size else ""
    return ""


def documents(folder: Path) -> dict[str, str]:
    """The small documents about the run that are there."""
    found = {}
    for name in (SPEC, SHIM):
        with contextlib.suppress(FileNotFoundError):
            found[name] = (folder / name).read_text("utf-8")
    return found


class Twin:
    """The local twin of one run directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, parts: list[dict[str, Any]], data: bytes, there: list[str]) -> bool:
        """Put what came in its place and drop what is no longer there; whether output grew.

        Raises:
            ValueError: a name or a place that no run directory has.
        """
        at = 0
        grew = False
        for part in parts:
            name, start, length = str(part["name"]), int(part["at"]), int(part["length"])
            piece = data[at : at + length]
            at += length
            if not _is_output(name) or start < 0 or len(piece) != length:
                raise ValueError(f"the far side sent {name[:40]!r}, which no run directory has")
            if name == INDEX:
                piece = self._covered(start, piece)
            _write(self.folder / name, start, piece)
            grew = grew or bool(piece)
        for name in set(sizes(self.folder)) - set(there):
            if "." in name:  # a segment: heads and the index are never dropped
                (self.folder / name).unlink(missing_ok=True)
        return grew

    def keep(self, documents: Mapping[str, str]) -> None:
        """Keep the documents about the run."""
        for name in (SPEC, SHIM):
            if name in documents:
                write_at_once(str(self.folder), name, documents[name].encode())

    def end(self, exit_: Mapping[str, Any], last: str) -> None:
        """Say how the run ended; the last thing that is written."""
        size = sizes(self.folder).get(INDEX, 0)
        if size and len(last) == 2 * RECORD.size:
            _write(self.folder / INDEX, size - RECORD.size, bytes.fromhex(last))
        write_at_once(str(self.folder), EXIT, json.dumps(exit_).encode())

    def _covered(self, start: int, piece: bytes) -> bytes:
        """The records of a piece of the index whose bytes are here."""
        ends = []
        for stream in STREAMS:
            with Kept(self.folder, stream) as kept:
                ends.append(kept.size())
        if start % RECORD.size:
            raise ValueError("the far side sent a piece of the index that begins within a record")
        whole = 0
        for _, own, _, length, stream in RECORD.iter_unpack(
            piece[: len(piece) - len(piece) % RECORD.size]
        ):
            if stream >= len(STREAMS) or own + length > ends[stream]:
                break
            whole += RECORD.size
        return piece[:whole]


def _is_output(name: str) -> bool:
    stream, dot, start = name.partition(".")
    return name in (INDEX, TOLD, REFUSED) or (stream in STREAMS and (not dot or start.isdigit()))


def _order(name: str) -> tuple[int, str, int]:
    """Heads first, then segments by their place, the index last."""
    stream, _, start = name.partition(".")
    return (1 if name == INDEX else 0, stream, int(start or 0))


def _read(path: Path, at: int, length: int) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:  # dropped meanwhile
        return None
    try:
        return os.pread(fd, length, at)
    finally:
        os.close(fd)


def _write(path: Path, at: int, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        while data:
            written = os.pwrite(fd, data, at)
            data, at = data[written:], at + written
    finally:
        os.close(fd)
