"""Runs unittest as `python -m unittest ARGUMENTS` would, and tells of single tests.

Each test goes into the report at MUSTER_JUNIT. Where MUSTER_ONLY names a list beside this program,
other tests are left out; where `want.json` lies there, what they execute is measured.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import sys
import unittest
from pathlib import Path
from typing import Any

GIVEN = Path(os.environ["MUSTER_GIVEN"])
_NOT_LOADED = "unittest.loader._FailedTest."
_TOLD = {
    "addSuccess": "",
    "addExpectedFailure": "",
    "addSkip": "skipped",
    "addFailure": "failure",
    "addUnexpectedSuccess": "failure",
    "addError": "error",
}
_PROGRAM: Any = unittest.TestProgram
_RUNS = _PROGRAM.runTests
STATUS: dict[str, str] = {}
"""What ended how, by `class::name`."""


def id_of(test: Any) -> str:
    """The id of a test as reports have it; a module that cannot be loaded is told by its name."""
    whole = str(test.id())
    if whole.startswith(_NOT_LOADED):
        return "::" + whole[len(_NOT_LOADED) :]
    place, _, name = whole.rpartition(".")
    return f"{place}::{name}"


def note(test: Any, status: str) -> None:
    """One ending; the worst of a test's parts counts."""
    order = ("", "skipped", "failure", "error")
    known = STATUS.get(id_of(test), "")
    STATUS[id_of(test)] = max(known, status, key=order.index)


def _listen(result: Any) -> None:
    """Have a class of results note what it is told."""

    def noting(name: str, status: str) -> Any:
        told = getattr(result, name)

        def noted(self: Any, test: Any, *more: Any) -> None:
            note(test, status)
            told(self, test, *more)

        return noted

    of_part = result.addSubTest

    def part(self: Any, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            note(test, "failure" if issubclass(err[0], test.failureException) else "error")
        of_part(self, test, subtest, err)

    for name, status in _TOLD.items():
        setattr(result, name, noting(name, status))
    result.addSubTest = part


def kept(suite: Any, wanted: frozenset[str]) -> Any:
    """The suite with the wanted tests alone."""
    if not isinstance(suite, unittest.TestSuite):
        return suite if id_of(suite) in wanted else None
    inner = [found for each in suite if (found := kept(each, wanted)) is not None]
    return type(suite)(inner) if inner else None


def _run_only(program: Any) -> None:
    """In the place of what runs the tests that were found."""
    wanted = frozenset(json.loads((GIVEN / os.environ["MUSTER_ONLY"]).read_text("utf-8")))
    program.test = kept(program.test, wanted) or unittest.TestSuite()
    _RUNS(program)


def _attribute(text: str) -> str:
    for sign, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot")):
        text = text.replace(sign, f"&{name};")
    return "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" else "?" for c in text)


def _write(path: Path) -> None:
    """Leave the report; a draft first, so that none is ever half."""
    cases = []
    for test, status in STATUS.items():
        place, _, name = test.rpartition("::")
        inner = f"<{status}/>" if status else ""
        names = f'classname="{_attribute(place)}" name="{_attribute(name)}"'
        cases.append(f"<testcase {names}>{inner}</testcase>")
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text("<testsuite>\n" + "\n".join(cases) + "\n</testsuite>\n", "utf-8")
    draft.replace(path)


def main() -> None:
    """Be what `python -m unittest` would be."""
    sys.path[0] = ""
    _listen(unittest.TextTestResult)
    if os.environ.get("MUSTER_JUNIT"):
        atexit.register(_write, Path(os.environ["MUSTER_JUNIT"]).absolute())
    if os.environ.get("MUSTER_ONLY"):
        _PROGRAM.runTests = _run_only
    if (GIVEN / "want.json").exists():
        sys.path.insert(1, str(GIVEN))
        import muster_seen  # noqa: PLC0415 - it lies beside this program only then

        sys.path.remove(str(GIVEN))
        muster_seen.of_unittest(unittest.TextTestResult)
    runpy.run_module("unittest", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
