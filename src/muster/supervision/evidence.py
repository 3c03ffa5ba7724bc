"""Evidence: what changed, and how each check of it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

BASE = "base"
RESULT = "result"
RESULT_BASE_TESTS = "result+base tests"
BASE_RESULT_TESTS = "base+result tests"

PASSED, FAILED, ERROR, SKIPPED = "passed", "failed", "error", "skipped"

TAIL = 4096
"""How many characters of an output's end a finding carries."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One changed path: `status` is added, modified, deleted or renamed (then with `old_path`).

    `added` and `removed` count lines; `size` is the new size in bytes when known, else 0. `link`:
    it is a symbolic link now.
    """

    path: str
    status: str
    added: int = 0
    removed: int = 0
    old_path: str | None = None
    binary: bool = False
    size: int = 0
    link: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The path, and the one it had before."""
        return (self.path, self.old_path) if self.old_path else (self.path,)


Changes = tuple[Changed, ...]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one run of a check ended.

    `name` is the planned run's name. `exit_code` is negative for a signal, None when nobody saw
    it; `why` says why the run is over (`exit`, `timeout`, `stopped`, `killed`, `memory`, `exec`,
    `lost`, or `setup` when the setup command failed before it). `tail` is the end of the output.
    `tests` maps a test's id to passed, failed, error or skipped, and is None without a report.
    `output` is as much of the whole output as was kept, for comparing linters; `root` the
    directory of the run, which differs between base and result and is taken out of `output`.
    `left` is the report that a stage asked for, as the run left it: a stranger's text.
    """

    name: str
    command: str
    exit_code: int | None
    why: str
    seconds: float
    run_id: str
    tail: str
    tests: Mapping[str, str] | None = None
    output: str = ""
    root: str = ""
    left: str | None = None

    @property
    def failing(self) -> frozenset[str]:
        """The tests that failed or could not run."""
        return self.having(FAILED, ERROR)

    def having(self, *statuses: str) -> frozenset[str]:
        """The tests with one of these statuses; empty without a report."""
        return frozenset(t for t, status in (self.tests or {}).items() if status in statuses)

    def as_json(self) -> dict[str, Any]:
        """The run as findings carry it."""
        known = self.tests is not None
        return {
            "name": self.name,
            "exit_code": self.exit_code,
            "why": self.why,
            "seconds": round(self.seconds, 3),
            "passed": len(self.having(PASSED)) if known else None,
            "failed": len(self.failing) if known else None,
            "run_id": self.run_id,
            "tail": self.tail[-TAIL:],
        }


class Colour(StrEnum):
    """What a test run says, all in all."""

    GREEN = "green"
    RED = "red"
    EMPTY = "empty"
    UNKNOWN = "unknown"


NOTHING_COLLECTED = 5
_SAYS_5 = re.compile(r"\b(?:py\.?test|unittest)\b")


def colour(result: CheckResult | None) -> Colour:
    """Green, red, empty (the runner found no test) or unknown (nobody saw it end by itself).

    Running out of time, memory or disk is red: the tests did not pass. A failing test in the report
    is red whatever the exit status says.
    """
    if result is None or result.why not in {"exit", "timeout", "memory", "disk"}:
        return Colour.UNKNOWN
    if result.why != "exit" or result.failing:
        return Colour.RED
    if result.exit_code is None:
        return Colour.UNKNOWN
    if result.exit_code == NOTHING_COLLECTED and not result.tests:
        return Colour.EMPTY if _SAYS_5.search(result.command) else Colour.RED
    return Colour.GREEN if result.exit_code == 0 else Colour.RED


_FILE = re.compile(r"^\+\+\+ (?:b/)?(.*?)\t?$")
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def added_lines(patch: str) -> dict[str, str]:
    """The added lines of a unified diff, as one text per path.

    Hunks are counted by their headers, so that no line of a file can pass for a header.
    """
    found: dict[str, list[str]] = {}
    path, old_left, new_left = "", 0, 0
    for line in patch.split("\n"):
        if old_left > 0 or new_left > 0:
            sign = line[:1]
            if sign == "+":
                found.setdefault(path, []).append(line[1:])
            old_left -= sign in {"-", " ", ""}
            new_left -= sign in {"+", " ", ""}
        elif hunk := _HUNK.match(line):
            old_left, new_left = (int(n) if n is not None else 1 for n in hunk.groups())
        elif name := _FILE.match(line):
            path = name[1]
    return {path: "\n".join(lines) for path, lines in found.items()}
