"""Small files that are whole or absent: written beside, synced, renamed into place."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)


def write_whole(path: Path, data: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Make `path` hold `data`; after a crash it has either its old content or this one.

    Without `sync` that holds for a crash of the program, not of the machine.
    """
    _write(path, (data,), mode, sync=sync)


def write_parts(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Make `path` hold all the parts, one after the other, like `write_whole` without `sync`."""
    _write(path, parts, 0o600, sync=False)


def _write(path: Path, parts: Iterable[bytes | memoryview], mode: int, *, sync: bool) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            if sync:
                os.fsync(fd)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


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
