"""A branch as the plain files of a repository tell it, without a process."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOST_BYTES = 1024 * 1024


def told(git_dir: Path, branch: str) -> str | None:
    """The commit of a branch; None when only git can tell, also whether there is one.

    git reads these files itself, the loose one first, unless the repository is of another format:
    that one has no such files. A link, a symbolic ref, and a git folder that shares another's refs
    are left to git.
    """
    name = f"refs/heads/{branch}"
    if (git_dir / "commondir").exists():
        return None
    loose = _small(git_dir / name)
    if loose is not None:
        return _id(loose)
    if os.path.lexists(git_dir / name):
        return None
    packed = _small(git_dir / "packed-refs") or b""
    line, _, _ = packed.partition(f" {name}\n".encode())
    return _id(line.rpartition(b"\n")[2]) if len(line) < len(packed) else None


def _id(text: bytes) -> str | None:
    found = text.decode("ascii", "replace").strip()
    return found if ID.fullmatch(found) else None


def _small(path: Path) -> bytes | None:
    """What is in an ordinary file that is not large."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        is_small = stat.S_ISREG(os.fstat(fd).st_mode) and os.fstat(fd).st_size <= _MOST_BYTES
        return file.read() if is_small else None
