"""Every page under docs can be reached from docs/README.md by following links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.tree import text_of, under

LINK = re.compile(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)")


def _linked(page: Path) -> set[Path]:
    return {(page.parent / target).resolve() for target in LINK.findall(text_of(page))}


def problems(root: Path) -> Iterator[str]:
    """One line for each page that no path of links leads to."""
    start = (root / "docs" / "README.md").resolve()
    if not start.exists():
        yield "docs/README.md: is missing; it is the index of all pages"
        return
    seen, todo = {start}, [start]
    while todo:
        new = {page for page in _linked(todo.pop()) if page.exists()} - seen
        seen |= new
        todo.extend(new)
    for page in under(root, "docs", ".md"):
        if page.resolve() not in seen:
            yield f"{page.relative_to(root)}:1: no link leads here from docs/README.md"
