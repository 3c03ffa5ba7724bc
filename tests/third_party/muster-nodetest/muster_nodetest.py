"""A test runner: the one that node brings itself, `node --test`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from muster.supervision.beside import Beside
from muster.supervision.runner import Ran, Said, by_junit

_TEST = re.compile(r"(?<![\w./-])node\s(?:[^;&|]*\s)?--test(?![\w-])")
_REPORT = (
    " --test-reporter=spec --test-reporter-destination=stdout"
    ' --test-reporter=junit --test-reporter-destination="$MUSTER_JUNIT"'
)


class NodeTest:
    """`node --test`, which writes JUnit XML where it is told to."""

    failed = 1
    test_paths = ("*.test.mjs", "/test/")
    configs = ()

    def starts(self, line: str) -> int:
        """Unless the line has a reporter of its own."""
        return 0 if "--test-reporter" in line else len(_TEST.findall(line))

    def telling(self, command: str) -> tuple[str, Beside] | None:
        """With a second reporter."""
        if self.starts(command) != 1:
            return None
        return _TEST.sub(lambda at: at[0] + _REPORT, command), Beside()

    def read(self, ran: Ran) -> Said:
        """Its report; a file that cannot be loaded is named by its whole path there."""
        told = by_junit(ran).tests
        return Said(told and {test.replace(f"{ran.root}/", ""): s for test, s in told.items()})

    def only(self, command: str, tests: Iterable[str]) -> tuple[str, Beside] | None:
        """By patterns of their names; others of the same name may run along."""
        if self.starts(command) != 1:
            return None
        names = sorted({re.escape(test.partition("::")[2]) for test in tests} - {""})
        words = "".join(f" {shlex.quote(f'--test-name-pattern=^{name}$')}" for name in names)
        return _TEST.sub(lambda at: at[0] + words, command), Beside()
