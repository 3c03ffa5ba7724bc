"""A rule that is switched off in the code says why, beside it."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.tree import text_of, under

SWITCHES_OFF = re.compile(r"#\s*(?:noqa\b(?::\s*[A-Z0-9, ]+)?|pragma:\s*no\s+cover)")
# An argument that an interface hands over and a method has no use for explains itself.
PLAIN = re.compile(r"#\s*noqa:\s*ARG\d+\s*$")
ENOUGH = 10
"""A reason has at least so many characters: about two words."""


def _comments(text: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def _says_why(comment: str, above: str) -> bool:
    if PLAIN.search(comment):
        return True
    here = SWITCHES_OFF.sub("", comment).strip(" #-:;,")
    return len(here) >= ENOUGH or (len(above) >= ENOUGH and not SWITCHES_OFF.search(above))


def problems(root: Path) -> Iterator[str]:
    """One line for each `noqa` or `no cover` in src without a reason.

    A `type: ignore` names its code, and mypy says when it is needed no more; that is enough.
    """
    for path in under(root, "src", ".py"):
        comments = _comments(text_of(path))
        for line, comment in comments.items():
            if SWITCHES_OFF.search(comment) and not _says_why(comment, comments.get(line - 1, "")):
                yield f"{path.relative_to(root)}:{line}: switches a rule off without saying why"
