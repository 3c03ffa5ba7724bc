"""Which lines a change added, and which of them a program can execute."""

from __future__ import annotations

import re

_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


def added_numbers(patch: str) -> tuple[int, ...]:
    """The numbers that added lines have in the new file, from the unified diff of one file."""
    found: list[int] = []
    at = left = 0
    for line in patch.split("\n"):
        if left > 0 and line[:1] in {"+", " ", ""}:
            if line.startswith("+"):
                found.append(at)
            at, left = at + 1, left - 1
        elif hunk := _HUNK.match(line):
            at, left = int(hunk[1]), int(hunk[2]) if hunk[2] is not None else 1
    return tuple(found)
