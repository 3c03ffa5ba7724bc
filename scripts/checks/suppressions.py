"""A rule that is switched off in the code says why, beside it."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.tree import text_of, under

SWITCHES_OFF = re.compile(r"#\s*(?:noqa\b(?::\s*[A-Z0-9, ]+)?|pragma:\s*no\s+cover)")
FAMILY = re.compile(r"\b([A-Z]+)\d+")
ENOUGH = 10
"""A reason has at least so many characters: about two words."""


def _comments(text: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def _says_why(comment: str, above: str) -> bool:
    here = SWITCHES_OFF.sub("", comment).strip(" #-:;,")
    return len(here) >= ENOUGH or (len(above) >= ENOUGH and not SWITCHES_OFF.search(above))


def _families(comment: str) -> set[str]:
    """What a comment switches off, as the letters of the rules: `PTH` for `PTH123`."""
    return set(FAMILY.findall(comment)) or {"cover"}


def _unexplained(comments: dict[int, str]) -> Iterator[int]:
    """The lines without a reason; one that was given once holds for the rest of its file."""
    explained = {"ARG"}  # an argument that an interface hands over explains itself
    for line, comment in comments.items():
        if not (off := SWITCHES_OFF.search(comment)):
            continue
        families = _families(off.group())
        if _says_why(comment, comments.get(line - 1, "")):
            explained |= families
        elif families - explained:
            yield line


def problems(root: Path) -> Iterator[str]:
    """One line for each `noqa` or `no cover` in src without a reason.

    A `type: ignore` names its code, and mypy says when it is needed no more; that is enough.
    """
    for path in under(root, "src", ".py"):
        for line in _unexplained(_comments(text_of(path))):
            yield f"{path.relative_to(root)}:{line}: switches a rule off without saying why"
