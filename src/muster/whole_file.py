"""Files that are whole or as they were: written beside, synced, renamed into place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path


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


def sync_folder(folder: Path) -> None:
    """Let the names in a folder, those renamed in it too, be on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
