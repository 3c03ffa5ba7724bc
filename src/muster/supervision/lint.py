"""Does the work add complaints of a linter or a type checker?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from muster.domain.plain import plain
from muster.domain.verdict import Finding, Severity
from muster.supervision.comparison import count
from muster.supervision.evidence import CheckResult

MOST_LINES = 50
MOST_OUTPUT = 2_000_000
_LONGEST = 500
_LONGEST_LINE = 2000

_NAMES = {"lint": "linter", "type": "type checker"}
_CANNOT_START = frozenset({126, 127})
_LOCATED = re.compile(r":\d+\b|\bline \d+\b|\(\d+,\d+\)|^\s*\d+:\d+\s")
_INDENTED_LOCATION = re.compile(r"^\s*(?:-->|\d+:\d+\s)")
_SUMMARY = re.compile(
    r"^\W*(?:Found )?(?:\d+|no) (?:files?|errors?|problems?|warnings?|issues?|fixable)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+")
_CODE = re.compile(r"[A-Za-z]+\d+")
_CERTAIN = re.compile(r"\b(?:F\d{3}|E9\d\d|PLE\d{4}|E\d{4}|[A-Za-z]*[Ee]rror)\b")
"""Complaints that are faults and no taste: pyflakes, syntax, pylint's errors, what says error."""


def judge_lint(kind: str, results: Iterable[CheckResult]) -> list[Finding]:
    """At most one finding of `kind` (`lint` or `type`), from its runs at base and result."""
    runs = {result.name: result for result in results}
    result, base = runs.get(f"{kind} result"), runs.get(f"{kind} base")
    if result is None:
        return []
    if not _usable(result):
        return [_unknown(kind, result)]
    if result.exit_code == 0:
        return [Finding(f"{kind}.clean", Severity.OK, f"The {_NAMES[kind]} is content.")]
    if base is None or not _usable(base):
        return [_unknown(kind, base or result)]
    return [_compare(kind, base, result)]


def _usable(run: CheckResult) -> bool:
    ended = run.why == "exit" and run.exit_code is not None
    return ended and run.exit_code not in _CANNOT_START


def _unknown(kind: str, run: CheckResult) -> Finding:
    why = f"exit status {run.exit_code}" if run.why == "exit" else run.why
    text = f"The {_NAMES[kind]} gave no usable answer on '{run.name}' ({why})."
    return Finding(f"{kind}.unknown", Severity.NOTE, text, _evidence(run, run))


def _compare(kind: str, base: CheckResult, result: CheckResult) -> Finding:
    new = new_complaints(base, result)
    name = _NAMES[kind]
    evidence = _evidence(base, result) | {"new": [line[:_LONGEST] for line in new[:MOST_LINES]]}
    if base.exit_code == 0:
        text = f"The {name} was content with the base and is not any more"
    elif new:
        text = f"The {name} has complaints that it did not have on the base"
    else:
        text = f"The {name} complains no more than it did on the base."
        return Finding(f"{kind}.old", Severity.NOTE, text, evidence)
    first = f": {new[0].strip()[:_LONGEST]}" if new else ""
    more = f" (and {count(len(new) - 1, 'other')})" if len(new) > 1 else ""
    text = f"{text}{first}{more}."
    if kind == "lint" and base.exit_code != 0 and not any(map(_CERTAIN.search, new)):
        return Finding("lint.worse", Severity.ASK, text, evidence)
    return Finding(f"{kind}.new", Severity.VETO, text, evidence)


def _evidence(base: CheckResult, result: CheckResult) -> dict[str, object]:
    runs = [base] if base is result else [base, result]
    return {
        "command": result.command,
        "runs": [run.as_json() for run in runs],
        "about": result.name,
    }


def new_complaints(base: CheckResult, result: CheckResult) -> list[str]:
    """The lines of the result's output that the base's does not have, with their line numbers.

    Lines that name a place in a file are compared if there are any, else all lines. Numbers do
    not count, because a complaint moves when lines above it do; how often a line occurs does.
    """
    before, now = list(_complaints(base)), list(_complaints(result))
    if any(located for located, _, _ in now):
        before = [entry for entry in before if entry[0]]
        now = [entry for entry in now if entry[0]]
    left = Counter(key for _, key, _ in before)
    found = []
    for _, key, line in now:
        if left[key] > 0:
            left[key] -= 1
        else:
            found.append(line)
    return found


def _complaints(run: CheckResult) -> Iterator[tuple[bool, str, str]]:
    """Whether it names a place, the key to compare by, and the line, for each line of output.

    A place on a line of its own (`--> a.py:1:8`, or `1:8 error …` under a file's name) belongs to
    the heading above it.
    """
    text = plain((run.output or run.tail)[-MOST_OUTPUT:])
    if run.root:
        text = text.replace(run.root.rstrip("/") + "/", "")
    heading = ""
    for whole_line in text.split("\n"):
        line = whole_line[:_LONGEST_LINE]
        if not line.strip() or _SUMMARY.match(line):
            continue
        located = bool(_LOCATED.search(line))
        whole = f"{heading.strip()} {line.strip()}" if _INDENTED_LOCATION.match(line) else line
        yield located, _key(whole), whole.strip()
        if not line[0].isspace() and not _INDENTED_LOCATION.match(line):
            heading = line


def _key(line: str) -> str:
    """The line with its numbers blanked, but not those in codes such as `F401`."""
    parts, last = [], 0
    for code in _CODE.finditer(line):
        parts += [_NUMBER.sub("#", line[last : code.start()]), code.group()]
        last = code.end()
    return " ".join("".join([*parts, _NUMBER.sub("#", line[last:])]).split())
