"""Files that an agent or a test may have written: read only when they are files, and small."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_small(path: Path, most: int) -> bytes | None:
    """The bytes of an ordinary file of at most `most` bytes; None when it is anything else.

    A link is not followed, and a pipe or device is never waited for.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        try:
            data = file.read(most + 1)
        except OSError:
            return None
    return data if len(data) <= most else None
