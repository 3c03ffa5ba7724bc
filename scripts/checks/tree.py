"""The files that a check looks at: what git tracks or would track, from the tree's root."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

BINARY = {".png", ".jpg", ".gif", ".ico", ".woff", ".woff2", ".gz", ".db", ".zip", ".pack"}


@cache
def files(root: Path) -> tuple[Path, ...]:
    """Every file of the project, also the new ones, but nothing that git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout.decode()
    found = (root / name for name in sorted(set(listed.split("\0"))) if name)
    return tuple(path for path in found if path.is_file() and not path.is_symlink())


def under(root: Path, folder: str, suffix: str = "") -> Iterator[Path]:
    """The project's files below `folder` whose names end in `suffix`."""
    top = root / folder
    return (f for f in files(root) if f.is_relative_to(top) and f.name.endswith(suffix))


def text_of(path: Path) -> str:
    """A file's text; what is not UTF-8 is shown as it can be."""
    return path.read_text(encoding="utf-8", errors="replace")


def texts(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file that holds text, with it."""
    return ((f, text_of(f)) for f in files(root) if f.suffix not in BINARY)


def parsed(path: Path) -> ast.Module:
    """A Python file as its syntax tree."""
    return ast.parse(text_of(path), filename=str(path))
