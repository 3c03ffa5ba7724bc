"""What is below a folder, and what all files there hold, while somebody may be clearing it up."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def called(name: str, top: Path) -> list[Path]:
    """All files, links and folders of this name."""
    return [Path(at, name) for at, folders, files in os.walk(top) if name in (*folders, *files)]


def contents(top: Path) -> Iterator[tuple[Path, bytes]]:
    """Each regular file that is still there, with its bytes; links are not followed."""
    for folder, _, names in os.walk(top):
        for path in (Path(folder, name) for name in names):
            if path.is_symlink() or not path.is_file():
                continue
            with contextlib.suppress(FileNotFoundError):
                yield path, path.read_bytes()
