"""The test runners of JavaScript, jest and vitest: a script that node loads first tells them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from muster.supervision.beside import GIVEN, Beside, own_file
from muster.supervision.evidence import ERROR, FAILED, PASSED, SKIPPED
from muster.supervision.junit import MAX_BYTES
from muster.supervision.runner import Ran, Said, by_junit
from muster.supervision.statuses import Statuses, id_of, unusable

_FIRST = "muster_node.cjs"
_BETWEEN = " > "
_OWN_REPORT = re.compile(r"--outputFile|--json\b|--reporters?[= ]\s*['\"]?j(?:unit|son)")
_OWN_OPTIONS = re.compile(r"\bNODE_OPTIONS=")
_STATUS = {"passed": PASSED, "focused": PASSED, "failed": FAILED}


class _Node:
    """A runner that is a program of node's."""

    name = ""
    failed = 1
    test_paths: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()

    def starts(self, line: str) -> int:
        """Unless the line names a report of its own, or options of node's, which hide ours."""
        if _OWN_REPORT.search(line) or _OWN_OPTIONS.search(line):
            return 0
        started = rf"(?<![\w./@=-])(?:[\w./-]*/)?{self.name}(?:\.m?js|@[\w.^~-]+)?(?![\w.=/@-])"
        return len(re.findall(started, line))

    def telling(self, command: str) -> tuple[str, Beside] | None:
        """The same command: it may start the runner by a script of `package.json`."""
        return command, _first()

    def only(self, command: str, tests: Iterable[str]) -> tuple[str, Beside] | None:
        """By a pattern that their names match; all are run for a file that cannot be loaded."""
        named = [test.partition("::") for test in sorted(tests)]
        if any(name in {"", place} for place, _, name in named):
            return command, _first()
        names = "|".join(_pattern(name) for _, _, name in named)
        pattern = Beside({"MUSTER_ONLY": "only.txt"}, {"only.txt": rf"^\s*(?:{names})$"})
        return command, _first().also(pattern)


def _first() -> Beside:
    return Beside({"NODE_OPTIONS": f'--require "{GIVEN}/{_FIRST}"'}, {_FIRST: own_file(_FIRST)})


def _pattern(name: str) -> str:
    """The runners put a blank between the names of a test and of what it stands in."""
    signs = (f"\\{c}" if c in r"\^$.|?*+()[]{}/-" else c for c in name)
    return "".join(signs).replace(_BETWEEN, "(?: > | )")


class Vitest(_Node):
    """vitest, which writes JUnit XML."""

    name = "vitest"

    def read(self, ran: Ran) -> Said:
        """Its report; a file that cannot be loaded is told as a test of its own name."""
        return by_junit(ran)


class Jest(_Node):
    """jest, which writes JSON."""

    name = "jest"

    def read(self, ran: Ran) -> Said:
        """Its report; a file that cannot be loaded is told by its path alone."""
        if ran.report is None:
            return Said(None)
        if len(ran.report) > MAX_BYTES:
            raise unusable("it is too long")
        try:
            files: Any = json.loads(ran.report)["testResults"]
            found = Statuses()
            for test, status in _tests(files, _roots(ran.root)):
                found.add(test, status)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise unusable("it is no JSON report of jest's") from error
        return Said(found.tests)


def _tests(files: Any, roots: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for file in files:
        path = str(file["name"])
        for root in roots:
            path = path.removeprefix(root)
        if not file["assertionResults"] and file["status"] == "failed":
            yield id_of(path, ""), ERROR
        for test in file["assertionResults"]:
            name = _BETWEEN.join([*map(str, test["ancestorTitles"]), str(test["title"])])
            yield id_of(path, name), _STATUS.get(str(test["status"]), SKIPPED)


def _roots(root: str) -> tuple[str, ...]:
    """The folder as it is named, and as it is found behind links."""
    named = dict.fromkeys((root, os.path.realpath(root))) if root else ()
    return tuple(f"{each.rstrip('/')}/" for each in named)
