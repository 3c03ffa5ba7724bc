"""The test runners of Python: pytest by its options and a plugin, unittest by a program before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from muster.supervision.beside import REPORT, Beside
from muster.supervision.python_runs import runs_pytest, runs_unittest, with_pytest, with_unittest
from muster.supervision.runner import Ran, Said, by_junit

_OWN_REPORT = re.compile(r"--junit-?xml|no:junitxml")


class Pytest:
    """pytest, which writes JUnit XML itself: unless the command names a report of its own."""

    failed = 1
    test_paths: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()

    def starts(self, line: str) -> int:
        """With several starts each would overwrite the other's report."""
        return runs_pytest(line)

    def telling(self, command: str) -> tuple[str, Beside] | None:
        """The same command; the options come by the environment."""
        if runs_pytest(command) != 1 or _OWN_REPORT.search(command):
            return None
        return command, Beside({"PYTEST_ADDOPTS": f"--junitxml={REPORT} -o junit_family=xunit2"})

    def read(self, ran: Ran) -> Said:
        """Its report."""
        return by_junit(ran)

    def only(self, command: str, tests: Iterable[str]) -> tuple[str, Beside] | None:
        """By a plugin that leaves the others out."""
        found = with_pytest(command, "muster_only.py")
        return found and (found[0], found[1].also(_listed(tests)))


class Unittest:
    """`python -m unittest`, which tells of single tests by a program that runs it."""

    failed = 1
    test_paths = ("test*.py",)
    configs: tuple[str, ...] = ()

    def starts(self, line: str) -> int:
        """By its module alone: who starts it in another way knows better."""
        return runs_unittest(line)

    def telling(self, command: str) -> tuple[str, Beside] | None:
        """The program runs it, and writes the report."""
        return with_unittest(command)

    def read(self, ran: Ran) -> Said:
        """The report of the program."""
        return by_junit(ran)

    def only(self, command: str, tests: Iterable[str]) -> tuple[str, Beside] | None:
        """By the program, which leaves the others out."""
        found = with_unittest(command)
        return found and (found[0], found[1].also(_listed(tests)))


def _listed(tests: Iterable[str]) -> Beside:
    return Beside({"MUSTER_ONLY": "only.json"}, {"only.json": json.dumps(sorted(tests))})
