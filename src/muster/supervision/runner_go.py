"""The test runner of Go: `go test -json`, read from what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from muster.supervision.beside import Beside
from muster.supervision.evidence import ERROR, FAILED, PASSED, SKIPPED
from muster.supervision.runner import Ran, Said
from muster.supervision.statuses import Statuses, id_of

_TEST = re.compile(r"(?<![\w./-])(?:[\w./-]*/)?go\s+test(?![\w.=/-])")
_ELSEWHERE = re.compile(r"\|(?!\|)|(?<![\d&])>")
"""What it says does not reach us behind a pipe or in a file."""
_BROKEN = re.compile(r"^FAIL\t(\S+) \[(?:build|setup) failed\]$")
_STATUS = {"pass": PASSED, "fail": FAILED, "skip": SKIPPED}
_NOISE = re.compile(r"=== (?:RUN|PAUSE|CONT|NAME) ")


class GoTest:
    """`go test`; a package that cannot be built, or ends early, is told by its path alone."""

    failed = 1
    test_paths = ("testdata/",)
    configs: tuple[str, ...] = ()

    def starts(self, line: str) -> int:
        """As often as it says what it does on our output."""
        return 0 if _ELSEWHERE.search(line) else len(_TEST.findall(line))

    def telling(self, command: str) -> tuple[str, Beside] | None:
        """With `-json`."""
        if self.starts(command) != 1:
            return None
        told = re.search(r"\s-json\b", command)
        return (command if told else _TEST.sub(r"\g<0> -json", command)), Beside()

    def read(self, ran: Ran) -> Said:
        """The events on its standard output."""
        whole = ran.whole()
        found, seen = Statuses(), False
        for test, status in _statuses(whole or ""):
            seen = True
            if test:
                found.add(test, status)
        return Said(found.tests if seen else None, _shown(ran.output) if seen else None)

    def only(self, command: str, tests: Iterable[str]) -> tuple[str, Beside] | None:
        """By their names, with all that run inside of them; nothing is taken from go's cache."""
        if self.starts(command) != 1:
            return None
        names = {test.partition("::")[2].partition("/")[0] for test in tests}
        every = not all(re.fullmatch(r"\w+", name) for name in names)
        which = "" if every else f" -run '^({'|'.join(sorted(names))})$'"
        return _TEST.sub(lambda at: f"{at[0]} -count=1{which}", command), Beside()


def _events(text: str) -> Iterator[dict[str, Any] | str]:
    """Each line of the output: what go tells, or what somebody else printed."""
    for line in text.splitlines():
        try:
            told: Any = json.loads(line) if line.startswith("{") else None
        except (ValueError, RecursionError):
            told = None
        yield told if isinstance(told, dict) and isinstance(told.get("Action"), str) else line


def _statuses(text: str) -> Iterator[tuple[str, str]]:
    """Each test with its status; no test and a status where a package ended well."""
    open_: dict[tuple[str, str], None] = {}
    failed: set[str] = set()
    for event in _events(text):
        if isinstance(event, str):
            if broken := _BROKEN.match(event):
                yield id_of(broken[1], ""), ERROR
            continue
        package, test = str(event.get("Package", "")), str(event.get("Test", ""))
        status = _STATUS.get(event["Action"])
        if event["Action"] == "run":
            open_[package, test] = None
        elif status is None:
            continue
        elif test:
            open_.pop((package, test), None)
            failed |= {package} if status == FAILED else set()
            yield id_of(package, test), status
        elif status == FAILED:
            # What it was at when it ended early; what broke is not always a test.
            unended = [one for one in open_ if one[0] == package]
            yield from ((id_of(*one), ERROR) for one in unended)
            failed |= {package} if unended else set()
            open_ = {one: None for one in open_ if one[0] != package}
            if package not in failed:
                yield id_of(package, ""), ERROR
        else:
            yield "", status
    yield from ((id_of(*unended), ERROR) for unended in open_)


def _shown(output: str) -> str:
    """What people read: what failing tests and packages printed, and what came from elsewhere."""
    events = list(_events(output))
    fails = {_of(e) for e in events if isinstance(e, dict) and e["Action"] == "fail"}
    lines = []
    for event in events:
        if isinstance(event, str):
            lines.append(f"{event}\n")
        elif "Output" in event and not _NOISE.match(str(event["Output"])):
            said = _of(event) in fails or not event.get("Test")
            lines += [str(event["Output"])] if said else []
    return "".join(lines)


def _of(event: dict[str, Any]) -> tuple[str, str]:
    return str(event.get("Package", "")), str(event.get("Test", ""))
