"""Tests that assert less than they did, or are marked as not to be run, seen in their text.

A test that passes as it was with the new code says nothing against taking assertions out of it, and
it is weaker for all that comes later. What was moved, replaced or put into a function is no loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from muster.domain.plain import few, plain_line
from muster.domain.task import OWES_PROOF, TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.asserted import ELSEWHERE, Body, Tests
from muster.supervision.asserted_code import LANGUAGES, read_tests
from muster.supervision.asserted_python import tests_in_python

Texts = Mapping[str, tuple[str | None, str | None]]
"""Per test file its text at the base and in the result; None where it is absent."""

READ = (".py", *LANGUAGES)
"""How the names of files end whose assertions are known."""
_MOST_NAMED, _MOST_LISTED = 5, 50
_MOST_READ = 4_000_000
_ERROR = frozenset({"err", "if", "nil"})


@dataclass(frozen=True, slots=True)
class Loss:
    """A test of a file, how many of its assertions are gone, and how many it has now."""

    path: str
    test: str
    gone: int
    left: int


@dataclass(frozen=True, slots=True)
class Both:
    """The tests of a file at the base and in the result."""

    path: str
    before: Tests
    after: Tests


def read_both(texts: Texts) -> tuple[Both, ...]:
    """The files that are in both, have changed, and can be read for certain; not beyond a bound."""
    found, taken = [], 0
    for path, (before, after) in sorted(texts.items()):
        if before is None or after is None or before == after:
            continue
        taken += len(before) + len(after)
        if taken > _MOST_READ:
            break
        old, new = _read(path, before), _read(path, after)
        if old is not None and new is not None:
            found.append(Both(path, old, new))
    return tuple(found)


def judge_weakened(task_type: TaskType, files: Sequence[Both]) -> tuple[Finding, ...]:
    """At most one finding: tests of which assertions were taken out with nothing in their place.

    A test that asserts nothing any more is a refusal where the task gives no reason for it.
    """
    found = [loss for file in files for loss in losses(file)]
    if not found:
        return ()
    where = [f"{plain_line(x.test, 120)} in {plain_line(x.path, 120)}" for x in found]
    tests = "1 test asserts" if len(found) == 1 else f"{len(found)} tests assert"
    text = f"{tests} less than before, with nothing in its place: {few(where, _MOST_NAMED, 300)}."
    empty = task_type in OWES_PROOF and any(loss.left == 0 for loss in found)
    severity = Severity.VETO if empty else Severity.ASK
    listed = [
        {"path": plain_line(x.path), "test": plain_line(x.test), "gone": x.gone, "left": x.left}
        for x in found[:_MOST_LISTED]
    ]
    return (Finding("tests.weakened", severity, text, {"weakened": listed}),)


def newly_skipped(files: Sequence[Both]) -> tuple[str, ...]:
    """The tests, with their files, that are there before and after and are marked as not run now.

    Where the runs tell of single tests, they say it better.
    """
    return tuple(
        f"{plain_line(name, 120)} in {plain_line(file.path, 120)}"
        for file in files
        for name, was in file.before.items()
        if not was.skipped and name in file.after and file.after[name].skipped
    )


def losses(file: Both) -> list[Loss]:
    """The tests that are there before and after, and assert less now.

    An assertion that another test of the file has now, or what its tests share, is not lost. Of a
    test that does something new besides, nothing is said: that may be where it asserts now.
    """
    old, new = file.before, file.after
    left = _all(old) - _all(new)
    found = []
    for name in [name for name in old if name in new and name != ELSEWHERE]:
        was, now = old[name], new[name]
        lost = was.asserts - now.asserts
        if not lost or now.asserts - was.asserts or _returns_no_error(was, now):
            continue
        if any(one not in was.parts for one in now.does - was.does):
            continue
        gone = lost & left
        left -= gone
        if gone:
            found.append(Loss(file.path, name, gone.total(), now.asserts.total()))
    return found


def _read(path: str, text: str) -> Tests | None:
    language = LANGUAGES.get(PurePosixPath(path).suffix)
    return tests_in_python(text) if language is None else read_tests(language, text)


def _returns_no_error(was: Body, now: Body) -> bool:
    """Whether nothing is gone but looks at an error of Go that is not returned any more.

    One that is thrown away by name is returned all the same.
    """
    unbound = "err" in was.does and "err" not in now.does and now.blanks <= was.blanks
    return unbound and {*(was.does - now.does)} <= _ERROR


def _all(tests: Tests) -> Counter[str]:
    found: Counter[str] = Counter()
    for body in tests.values():
        found += body.asserts
    return found
