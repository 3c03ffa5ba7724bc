"""The files that a check looks at: what git tracks or would track, from the tree's root."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

BINARY = {".png", ".jpg", ".gif", ".ico", ".woff", ".woff2", ".gz", ".db", ".zip", ".pack"}


MADE_HERE = {"build", "dist", "node_modules", "__pycache__"}


def _known_to_git(root: Path) -> list[Path] | None:
    """What git tracks or would track; None where the tree is no repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
    )
    if listed.returncode != 0:
        return None
    return [root / name for name in set(listed.stdout.decode().split("\0")) if name]


def _unpacked(root: Path) -> list[Path]:
    """What lies in an unpacked archive, without what was made or cached there."""
    found = []
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") for part in parts[:-1])
        if not hidden and not MADE_HERE & set(parts):
            found.append(path)
    return found


@cache
def files(root: Path) -> tuple[Path, ...]:
    """Every file of the project, also the new ones, but nothing that git ignores."""
    known = _known_to_git(root)
    found = sorted(_unpacked(root) if known is None else known)
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
