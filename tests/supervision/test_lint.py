"""What counts as a new complaint of a linter or type checker."""

from __future__ import annotations

import pytest

from muster.domain.verdict import Finding
from muster.supervision.evidence import CheckResult
from muster.supervision.lint import judge_lint, new_complaints


def run(name: str, output: str, code: int | None = 1, why: str = "exit") -> CheckResult:
    root = f"/somewhere/{name.replace(' ', '-')}"
    return CheckResult(
        name, "lint", code, why, 1.0, "r", output[-100:], None, output.replace("ROOT", root), root
    )


def new(base: str, result: str) -> list[str]:
    return new_complaints(run("lint base", base), run("lint result", result))


RUFF_FULL = """F401 [*] `os` imported but unused
 --> a.py:{line}:8
  |
{line} | import os
  |        ^^

Found 1 error.
"""
ESLINT = "ROOT/a.js\n  {line}:10  error  'x' is not defined  no-undef\n\n✖ {n} problems\n"
MYPY = "a.py:{line}: error: Name 'x' is not defined  [name-defined]\nFound {n} errors in 1 file\n"


@pytest.mark.parametrize("form", [RUFF_FULL, ESLINT, MYPY], ids=["ruff", "eslint", "mypy"])
def test_a_complaint_that_moved_is_not_new_and_one_more_is(form: str) -> None:
    old = form.format(line=3, n=1)
    assert new(old, form.format(line=30, n=1)) == []
    assert len(new(old, old + form.format(line=30, n=2))) == 1
    assert new(old + form.format(line=9, n=2), old) == []


def test_another_rule_at_the_same_place_is_new() -> None:
    old = RUFF_FULL.format(line=3)
    other = old.replace("F401", "F811").replace("imported but unused", "redefined")
    assert new(old, other) == ["F811 [*] `os` redefined --> a.py:3:8"]
    assert new("a.py:1:1: E501 too long", "a.py:1:1: E502 too long") != []


def test_output_that_names_no_place_is_compared_line_by_line() -> None:
    assert (
        new("Would reformat: a.py\n1 file would be reformatted\n", "Would reformat: a.py\n") == []
    )
    two = "Would reformat: a.py\nWould reformat: b.py\n2 files would be reformatted\n"
    assert new("Would reformat: a.py\n1 file would be reformatted\n", two) == [
        "Would reformat: b.py"
    ]
    assert new(two, "Would reformat: b.py\n1 file would be reformatted\n") == []


def judged(base: CheckResult | None, result: CheckResult | None) -> Finding | None:
    found = judge_lint("lint", [r for r in (base, result) if r])
    return found[0] if found else None


LINE = "a.py:1:1: F401 unused"
TASTE = "a.py:9:1: SIM108 use a ternary operator"
CLIPPY = "src/a.rs:3:5: error[E0425]: cannot find value"


@pytest.mark.parametrize(
    ("base", "result", "code", "severity"),
    [
        (run("lint base", "", 0), run("lint result", "", 0), "lint.clean", "ok"),
        (run("lint base", LINE), run("lint result", "", 0), "lint.clean", "ok"),
        (run("lint base", "", 0), run("lint result", LINE), "lint.new", "veto"),
        (run("lint base", "", 0), run("lint result", ""), "lint.new", "veto"),
        (run("lint base", LINE), run("lint result", LINE), "lint.old", "note"),
        (run("lint base", LINE), run("lint result", LINE + "\nb" + LINE), "lint.new", "veto"),
        (run("lint base", LINE), run("lint result", f"{LINE}\n{TASTE}"), "lint.worse", "ask"),
        (run("lint base", "", 0), run("lint result", TASTE), "lint.new", "veto"),
        (run("lint base", TASTE), run("lint result", f"{TASTE}\n{LINE}"), "lint.new", "veto"),
        (run("lint base", TASTE), run("lint result", f"{TASTE}\n{CLIPPY}"), "lint.new", "veto"),
        (run("lint base", "", 0), run("lint result", "", None, "timeout"), "lint.unknown", "note"),
        (run("lint base", "", None, "lost"), run("lint result", LINE), "lint.unknown", "note"),
        (None, run("lint result", LINE), "lint.unknown", "note"),
        (run("lint base", "", 127), run("lint result", "", 127), "lint.unknown", "note"),
    ],
)
def test_the_two_runs_lead_to_one_finding(
    base: CheckResult | None, result: CheckResult, code: str, severity: str
) -> None:
    finding = judged(base, result)
    assert finding is not None
    assert (finding.code, finding.severity) == (code, severity)
    assert finding.text.endswith(".")


def test_no_linter_no_finding() -> None:
    assert judged(None, None) is None
    assert judged(run("lint base", ""), None) is None


def test_escapes_of_the_output_do_not_reach_the_finding() -> None:
    finding = judged(run("lint base", "", 0), run("lint result", "\x1b[31ma.py:1: bad\x1b[0m\n"))
    assert finding is not None
    assert "\x1b" not in finding.text
    assert finding.evidence["new"] == ["a.py:1: bad"]
