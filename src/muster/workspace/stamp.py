"""Whether anything at or below some paths was changed meanwhile, told by what programs cannot set.

The kernel sets a file's time of change (ctime); like git's index, which goes by it too, this does
not see a program that wrote through a mapping all the while.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_MOST = 2000
"""So many files are looked at; more are left to git."""

_TICK_NS = 50_000_000
"""Longer than the kernel's clock for files stands still."""


def stamp(tree: Path, touched: Sequence[str] | None) -> bytes | None:
    """Two equal stamps say that nothing changed in between; None says nothing.

    `touched` are the paths that may differ from what was opened, None when unknown.
    """
    if touched is None:
        return None
    digest = hashlib.sha256()
    latest = 0
    for number, (path, found) in enumerate(_files(tree, touched)):
        if number >= _MOST:
            return None
        facts = ""
        if found is not None:
            latest = max(latest, found.st_ctime_ns)
            facts = f"{found.st_mode} {found.st_ino} {found.st_size} {found.st_ctime_ns}"
        digest.update(os.fsencode(path) + b"\0" + facts.encode() + b"\0")
    # A change within the same tick would leave the same time.
    return digest.digest() if latest < time.time_ns() - _TICK_NS else None


def _files(tree: Path, touched: Sequence[str]) -> Iterator[tuple[str, os.stat_result | None]]:
    left = sorted(touched, reverse=True)
    while left:
        path = left.pop()
        try:
            found = (tree / path).lstat()
        except OSError:
            yield path, None
            continue
        yield path, found
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(tree / path) as entries:
                left.extend(sorted(f"{path}/{entry.name}" for entry in entries))
