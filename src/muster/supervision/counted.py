"""How many tests a runner says it ran, read from its last words where it leaves no report."""

from __future__ import annotations

import re

_TAIL = 16_384
_SUMS = (
    re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE),  # unittest
    re.compile(r"^(?:=+ )?(?:\d+ \w+, )*?(\d+) passed\b", re.MULTILINE),  # pytest
    re.compile(r"^test result: \w+\. (\d+) passed; ", re.MULTILINE),  # cargo
    re.compile(r"^Tests:\s.*?(\d+) total$", re.MULTILINE),  # jest
    re.compile(r"^\s*Tests\s.*\((\d+)\)$", re.MULTILINE),  # vitest
)
_PACKAGES = re.compile(r"^ok\s+\S+\s+(?:\(cached\)|[\d.]+s)", re.MULTILINE)  # go


def counted(output: str) -> int | None:
    """The sum of what the runner told (for go, packages); None when it told nothing known."""
    end = output[-_TAIL:]
    for pattern in _SUMS:
        if told := pattern.findall(end):
            return sum(int(number[:9]) for number in told)
    return len(_PACKAGES.findall(end)) or None
