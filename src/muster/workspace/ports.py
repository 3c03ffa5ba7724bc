"""Ranges of ports that no two workspaces share."""

from __future__ import annotations

import fcntl
import os
import socket
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid, NoRoom
from muster.workspace.records import read_record, write_record

FIRST, LAST = 20000, 32767
"""Below what systems hand out to outgoing connections."""


class Ports:
    """Leases of port ranges, recorded in `folder` under a file lock.

    A lease keeps muster's own workspaces apart; whether a stranger listens there is tried when it
    is given.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lease(self, owner: str, count: int) -> tuple[int, int]:
        """The first port and the number of a range for `owner`; asking again gives the same one.

        Raises:
            Invalid: `count` is not possible.
            NoRoom: no range is free.
        """
        if count == 0:
            return (0, 0)
        if not 0 < count <= 1000:
            raise Invalid(f"{count} ports cannot be leased", hint="ask for 1 to 1000")
        with self._leases() as leases:
            held = leases.get(owner)
            if held and held[1] == count:
                return (held[0], held[1])
            leases.pop(owner, None)
            first = self._free(leases, count)
            leases[owner] = [first, count]
            return (first, count)

    def release(self, owner: str) -> None:
        """Give back what `owner` holds."""
        with self._leases() as leases:
            leases.pop(owner, None)

    def _free(self, leases: Mapping[str, list[int]], count: int) -> int:
        taken = sorted((first, first + size) for first, size in leases.values())
        # Homes on one machine start at different places, so that they seldom meet.
        places = (LAST + 1 - FIRST) // count
        start = zlib.crc32(os.fsencode(self._folder)) % places
        for step in range(places):
            first = FIRST + (start + step) % places * count
            apart = all(end <= first or begin >= first + count for begin, end in taken)
            if apart and all(map(_is_free, range(first, first + count))):
                return first
        raise NoRoom(
            f"no {count} ports in a row are free between {FIRST} and {LAST}",
            hint="close workspaces, or lower the project's setting: ports",
        )

    @contextmanager
    def _leases(self) -> Iterator[dict[str, Any]]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            record = self._folder / "leases.json"
            before = read_record(record) or {}
            leases = dict(before)
            yield leases
            if leases != before:
                write_record(record, leases, sync=False)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
