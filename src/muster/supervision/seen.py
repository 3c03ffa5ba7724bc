"""What a test run tells of the lines that it executed: asked for, and read as a stranger's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from muster.domain.globs import matches
from muster.domain.plain import plain_line
from muster.supervision.changed_lines import Statement, executable
from muster.supervision.python_runs import with_pytest, with_unittest
from muster.supervision.stage import GIVEN, Beside, Case, own_file

MOST_FILES = 400
_LONGEST_ID = 1000
_MOST_TESTS = 60

Watched = Mapping[str, tuple[Statement, ...]]


@dataclass(frozen=True, slots=True)
class Seen:
    """Which lines of each file were executed, and by which tests; seconds that each test takes.

    Without a test a line was executed while modules were loaded.
    """

    lines: Mapping[str, Mapping[int, tuple[str, ...]]]
    elsewhere: frozenset[str] = frozenset()
    seconds: Mapping[str, float] = field(default_factory=dict)

    def tests_of(self, path: str, statement: Statement) -> tuple[str, ...]:
        """The tests that execute a statement."""
        seen = self.lines.get(path, {})
        return tuple(dict.fromkeys(t for n in sorted(statement.lines) for t in seen.get(n, ())))

    def covers(self, path: str, statement: Statement) -> bool:
        """Whether it was executed at all."""
        return bool(statement.lines & frozenset(self.lines.get(path, {})))


def watched(case: Case) -> Watched:
    """The added statements of Python files that are no tests, by path."""
    found: dict[str, tuple[Statement, ...]] = {}
    for path in sorted(case.added)[:MOST_FILES]:
        if not path.endswith(".py") or matches(case.settings.test_paths, path):
            continue
        statements = executable(case.text(path) or "", case.added[path])
        if statements:
            found[path] = statements
    return found


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the added lines that can be executed were, and which were not."""

    covered: int
    lines: int
    missed: tuple[tuple[str, int], ...]
    by: str

    @property
    def share(self) -> float:
        """The part that was executed."""
        return self.covered / self.lines


def share_of(what: Watched, seen: Seen) -> Share:
    """How much of the added statements was executed."""
    each = [(path, s) for path, statements in what.items() for s in statements]
    missed = tuple((path, s.first) for path, s in each if not seen.covers(path, s))
    return Share(len(each) - len(missed), len(each), missed, "calls")


def reach_of(what: Watched, left: str | None) -> Share | None:
    """How much of the added statements the tests of a measured run reach, if that can be told."""
    seen = read_seen(left) if what else ""
    if isinstance(seen, str) or seen.elsewhere & frozenset(what):
        return None
    return share_of(what, seen)


def measuring(command: str, what: Watched, of: Iterable[str] = ()) -> tuple[str, Beside] | None:
    """The test command so that it tells of these statements; None when it cannot be made to.

    With `of` only tests count whose ids, as pytest names them, are these or begin with them.
    """
    want = {path: sorted({s.first for s in each}) for path, each in what.items()}
    files = {"want.json": json.dumps(want), "muster_seen.py": own_file("muster_seen.py")}
    if some := list(of):
        files["of.json"] = json.dumps(some)
    told = Beside(files=files, report=f"{GIVEN}/seen.json")
    ridden = with_pytest(command, "muster_seen_pytest.py")
    if ridden is None and not some:
        ridden = with_unittest(command)
    return None if ridden is None else (ridden[0], ridden[1].also(told))


def read_seen(left: str | None) -> Seen | str:
    """What a run left, checked; why it says nothing when it does not."""
    if left is None:
        return "the test run left no report"
    try:
        told: Any = json.loads(left)
    except (ValueError, RecursionError):
        return "the test run left a report that cannot be read"
    if not isinstance(told, dict) or not isinstance(told.get("files"), dict):
        return "the test run left a report that cannot be read"
    if own := _paths(told.get("unmeasured")):
        named = plain_line(", ".join(sorted(own)[:3]), 300)
        return f"{named} is loaded before the tests, or in a way of the project's own"
    seconds = told.get("seconds")
    times = seconds if isinstance(seconds, dict) else {}
    return Seen(
        {str(path): _lines(each) for path, each in told["files"].items()},
        _paths(told.get("elsewhere")),
        {str(test): float(time) for test, time in times.items() if _is_time(time)},
    )


def _paths(told: object) -> frozenset[str]:
    return (
        frozenset(p for p in told if isinstance(p, str)) if isinstance(told, list) else frozenset()
    )


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e6


def _lines(told: object) -> dict[int, tuple[str, ...]]:
    if not isinstance(told, dict):
        return {}
    return {
        int(number): tuple(t for t in tests[:_MOST_TESTS] if isinstance(t, str) and _is_id(t))
        for number, tests in told.items()
        if isinstance(number, str)
        and number.isascii()
        and number.isdigit()
        and len(number) < 9
        and isinstance(tests, list)
    }


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_ID and plain_line(text, _LONGEST_ID) == text
