"""Every source file opens with the one sentence that says what it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.tree import parsed, text_of, under

SENTENCE = re.compile(r"^\S.*[.!?]$")
# How the other kinds of source open a comment.
COMMENT = {
    ".css": re.compile(r"\A/\*"),
    ".js": re.compile(r"\A(/\*|//)"),
    ".html": re.compile(r"\A\{#"),
    ".j2": re.compile(r"\A\{#"),
    ".sql": re.compile(r"\A(--|/\*)"),
}
NOT_OURS = ("/vendor/", "/dist/")


def _wrong_with_python(path: Path) -> str:
    docstring = ast.get_docstring(parsed(path))
    if not docstring:
        return "has no docstring; open with the sentence that says what the file is"
    first = docstring.split("\n\n", 1)[0]
    if "\n" in first or not SENTENCE.match(first):
        return "does not open with one sentence on one line"
    return ""


def problems(root: Path) -> Iterator[str]:
    """One line for each file under src that does not say what it is."""
    for path in under(root, "src", ".py"):
        if wrong := _wrong_with_python(path):
            yield f"{path.relative_to(root)}:1: {wrong}"
    for path in under(root, "src"):
        opening = COMMENT.get(path.suffix)
        if opening is None or any(part in path.as_posix() for part in NOT_OURS):
            continue
        if not opening.match(text_of(path)):
            yield f"{path.relative_to(root)}:1: does not open with a comment that says what it is"
