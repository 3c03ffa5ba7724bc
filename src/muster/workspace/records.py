"""What is known of a workspace, kept as JSON beside it."""

from __future__ import annotations

import ctypes
import json
import os
from pathlib import Path
from typing import Any

from muster.whole_file import write_whole

_libc = ctypes.CDLL(None, use_errno=True)


def write_record(path: Path, record: dict[str, Any], *, sync: bool = True) -> None:
    """Make `path` hold a JSON object."""
    write_whole(path, json.dumps(record, indent=1).encode(), sync=sync)


def sync_disk(folder: Path) -> None:
    """Let everything on the file system of `folder` reach the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not hasattr(_libc, "syncfs") or _libc.syncfs(fd) != 0:
            os.sync()
    finally:
        os.close(fd)


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object at `path`; None when there is none that can be read."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None
