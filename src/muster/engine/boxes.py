"""Files that strangers hand in by a folder: opened, read and written beside, by no link.

The folders are theirs too: each is reached by a descriptor of the one above it, nothing but an
ordinary file is read, and nothing is ever waited for.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid

LARGEST = 300_000
_SETTLED = 1.0
"""Seconds after which a file that cannot be read is not being written any more."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def folder_at(name: str | Path, within: int | None, stack: contextlib.ExitStack) -> int | None:
    """A descriptor of a folder, closed with the stack; None when it is none."""
    try:
        handle = os.open(name, _FOLDER, dir_fd=within)
    except OSError:
        return None
    stack.callback(os.close, handle)
    return handle


def document_in(name: str, folder: int) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        Invalid: it is no ordinary file, too large, or holds none.
        OSError: it is gone, or not ours to read.
    """
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise Invalid("it is no ordinary file")
    try:
        document = json.loads(_read(name, folder).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Invalid("it is no JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise Invalid("it is no JSON object")
    return document


def rests(found: os.stat_result) -> bool:
    """Whether nobody writes to a file any more, as far as one can see.

    The clock of the machine is the one that files are told by.
    """
    return abs(time.time() - found.st_mtime) >= _SETTLED


def write_new(name: str, text: str, folder: int, mode: int = 0o600) -> None:
    """Write a file that was not there.

    Raises:
        OSError: it was there, or cannot be written.
    """
    handle = os.open(name, _NEW, mode, dir_fd=folder)
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def _read(name: str, folder: int) -> bytes:
    handle = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # it was another one a moment ago
        os.close(handle)
        raise Invalid("it is no ordinary file")
    with os.fdopen(handle, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Invalid(f"it has more than {LARGEST} bytes")
    return data
