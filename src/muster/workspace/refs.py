"""A branch as the plain files of a repository tell it, without a process."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOST_BYTES = 1024 * 1024


def told(git_dir: Path, branch: str) -> str | None:
    """The commit of a branch, empty when there is none; None when only git can tell.

    git reads these files itself, the loose one first, where refs are kept in files. A link, a
    folder, a symbolic ref, and a git folder that shares another's refs are left to git.
    """
    name = f"refs/heads/{branch}"
    if not _has_files(git_dir):
        return None
    loose = _small(git_dir / name)
    if loose is not None:
        return _id(loose)
    if os.path.lexists(git_dir / name):
        return None
    if not (git_dir / "packed-refs").exists():
        return ""
    packed = _small(git_dir / "packed-refs")
    if packed is None:
        return None
    before, found, _ = packed.partition(f" {name}\n".encode())
    return _id(before.rpartition(b"\n")[2]) if found else ""


def _has_files(git_dir: Path) -> bool:
    """Whether the refs are this folder's own files, as far as git of today knows."""
    config = _small(git_dir / "config")
    return (
        config is not None
        and b"refstorage" not in config.lower()
        and (git_dir / "refs" / "heads").is_dir()
        and not (git_dir / "commondir").exists()
    )


def _id(text: bytes) -> str | None:
    found = text.decode("ascii", "replace").strip()
    return found if ID.fullmatch(found) else None


def _small(path: Path) -> bytes | None:
    """What is in an ordinary file that is not large."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            return None
        return os.read(fd, _MOST_BYTES + 1)
    finally:
        os.close(fd)
