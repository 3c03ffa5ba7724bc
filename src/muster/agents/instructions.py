"""Where a repository says how agents should work in it, for programs that may not look.

A program that reads a repository's settings runs what they name; those that cannot have the one
without the other read neither, and are pointed at the instructions instead.
"""

from __future__ import annotations

from pathlib import Path

_PAGES = ("AGENTS.md", "CLAUDE.md")


def pointer(workspace: Path, *own: str) -> str:
    """A sentence that names the instructions to read, the program's own first; or nothing."""
    pages = [name for name in (*own, *_PAGES) if _is_page(workspace / name)]
    if not pages:
        return ""
    return f"Instructions for work in this repository are in {pages[0]}. Read it first."


def _is_page(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
