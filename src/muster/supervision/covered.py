"""Do the tests execute what the change adds? Told by the result's own test run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.domain.globs import matches
from muster.domain.plain import plain_line
from muster.domain.verdict import Finding, Severity
from muster.supervision.comparison import count
from muster.supervision.coverage_reports import Lines, read_report
from muster.supervision.evidence import RESULT
from muster.supervision.seen import (
    Share,
    Watched,
    measuring,
    read_seen,
    share_of,
    watched,
)
from muster.supervision.stage import Beside, Case, Steps, Told

ENOUGH = 0.8
"""A share from which it speaks for the work."""
MOST_LINES = 50


class Coverage:
    """The added lines of source files that the tests execute, by calls put there or a report."""

    settles = False

    def ride(self, case: Case) -> tuple[str, Beside] | None:
        """Have the result's run tell of them, or its own report read."""
        command = case.plan.test_command
        if not command or not _sources(case):
            return None
        if case.settings.coverage_report:
            return command, Beside(report=case.settings.coverage_report)
        what = watched(case)
        return measuring(command, what) if what else None

    def steps(self, case: Case) -> Steps:
        """No run of its own."""
        yield from ()
        if not _sources(case):
            return Told()
        found = _share(case)
        return Told((_unknown(found) if isinstance(found, str) else _told(found),))


def _sources(case: Case) -> dict[str, tuple[int, ...]]:
    """The added lines of files that are no tests."""
    return {
        path: lines
        for path, lines in case.added.items()
        if not matches(case.settings.test_paths, path)
    }


def _share(case: Case) -> Share | str:
    """What is known, or why nothing is."""
    if case.settings.coverage_report:
        return _by_report(case, case.settings.coverage_report)
    what = watched(case)
    seen = _unmeasured(case, what) or read_seen(_left(case))
    if isinstance(seen, str):
        return seen
    copies = sorted(seen.elsewhere & frozenset(what))
    if copies:
        paths = plain_line(", ".join(copies[:3]), 300)
        return f"the tests load an installed copy of {paths}, not the changed file"
    return share_of(what, seen)


def _by_report(case: Case, path: str) -> Share | str:
    run, left = case.run(RESULT), _left(case)
    if left is None:
        return f"the test run left no {plain_line(path, 120)}"
    lines = read_report(left, run.root if run else "")
    return lines if isinstance(lines, str) else share_of_report(_sources(case), lines)


def _unmeasured(case: Case, what: Watched) -> str:
    """Why the run was not measured; empty when it was."""
    if not what:
        return "the change adds nothing that this can measure: name a `coverage_report`"
    if measuring(case.plan.test_command or "", what) is None:
        return "the test command does not start pytest or unittest once: name a `coverage_report`"
    return "" if case.rider is not None else "the tests do not run while they are measured"


def _left(case: Case) -> str | None:
    run = case.run(RESULT)
    return run.left if run else None


def share_of_report(added: Mapping[str, tuple[int, ...]], lines: Lines) -> Share | str:
    """How many of the added lines that a report knows were executed, by its word."""
    each = [
        (path, number, lines.of[path][number])
        for path, numbers in added.items()
        if path in lines.of
        for number in numbers
        if number in lines.of[path]
    ]
    if not each:
        return "the report says nothing of the changed lines"
    missed = tuple((path, number) for path, number, hit in each if not hit)
    return Share(len(each) - len(missed), len(each), missed, lines.by)


def _told(found: Share) -> Finding:
    good = found.share >= ENOUGH
    text = (
        f"The tests execute {found.covered} of the {count(found.lines, 'line')} of code that the"
        f" change adds ({found.share:.0%})."
    )
    evidence: dict[str, Any] = {
        "covered": found.covered,
        "lines": found.lines,
        "share": round(found.share, 4),
        "by": found.by,
        "missed": [{"path": plain_line(p, 300), "line": n} for p, n in found.missed[:MOST_LINES]],
    }
    return Finding("coverage.changed", Severity.OK if good else Severity.NOTE, text, evidence)


def _unknown(why: str) -> Finding:
    text = f"It is not known which of the added lines the tests execute: {why}."
    return Finding("coverage.unknown", Severity.NOTE, text, {"why": why})
