"""Small files that are whole or absent: written beside, synced, renamed into place."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Make `path` hold `data`; after a crash it has either its old content or this one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Make `path` hold a JSON object."""
    write_whole(path, json.dumps(record, indent=1).encode())


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object at `path`; None when there is none that can be read."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None
