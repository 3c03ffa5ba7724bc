"""The test runner of Rust: `cargo test`, read from the text that it prints."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from muster.supervision.beside import Beside
from muster.supervision.evidence import ERROR, FAILED, PASSED, SKIPPED
from muster.supervision.runner import Ran, Said
from muster.supervision.statuses import Statuses, id_of

_TEST = re.compile(r"(?<![\w./-])(?:[\w./-]*/)?cargo\s+(?:\+[\w.-]+\s+)?(?:test|t)(?![\w.=/-])")
_NO_NAMES = re.compile(r"\s(?:--no-run|-q|--quiet|--list)\b|--format\b|\|(?!\|)|(?<![\d&])>")
"""Then it prints no names of tests, or not to us."""
_SHELL = re.compile(r"[;&|<>`$()\n#]")
_ONE_STREAM = "exec 2>&1\n"
"""Which program runs the tests is said on the other stream; its order must be kept."""

_RUNNING = re.compile(r"^\s+Running (?:unittests )?(\S+) \((?:\S*/)?([\w-]+?)-[0-9a-f]{8,}\S*\)$")
_UNIT = re.compile(r"^\s+Running unittests ")
_DOCS = re.compile(r"^\s+Doc-tests (\S+)$")
_BEGINS = re.compile(r"^running \d+ tests?$")
_ENDS = re.compile(r"^test result: ")
_ONE = re.compile(
    r"^test (.+?)(?: \(line \d+\))?(?: - should panic| - compile(?: fail)?)?"
    r" \.\.\. (?:.*\s)?(ok|FAILED|ignored)(?:, .*)?$"
)
_NOT_BUILT = re.compile(
    r'^error: could not compile `([^`]+)`(?: \((lib|bin|test|example|bench)(?: "([^"]+)")?[^)]*\))?'
)
_STATUS = {"ok": PASSED, "FAILED": FAILED, "ignored": SKIPPED}


class CargoTest:
    """`cargo test`; what cannot be built, or breaks off, is told by its place alone."""

    failed = 101
    test_paths: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()

    def starts(self, line: str) -> int:
        """As often as it prints the names of tests on our output."""
        return 0 if _NO_NAMES.search(line) else len(_TEST.findall(line))

    def telling(self, command: str) -> tuple[str, Beside] | None:
        """On one stream, and on to the next program when the tests of one fail."""
        if self.starts(command) != 1:
            return None
        go_on = "" if "--no-fail-fast" in command else " --no-fail-fast"
        return _ONE_STREAM + _TEST.sub(rf"\g<0>{go_on}", command), Beside()

    def read(self, ran: Ran) -> Said:
        """The lines of its programs; of builds that fail, the target."""
        read = _Reader()
        for line in (ran.whole() or "").splitlines():
            read.line(line)
        read.over()
        return Said(read.found.tests if read.seen else None)

    def only(self, command: str, tests: Iterable[str]) -> tuple[str, Beside] | None:
        """By parts of their names, which every program gets; of a line without a shell's signs."""
        if self.starts(command) != 1 or _SHELL.search(command):
            return None
        names = sorted({test.partition("::")[2] for test in tests})
        if "" in names:
            return command, Beside()
        words = " ".join(map(shlex.quote, names))
        return f"{command}{' ' if ' -- ' in command else ' -- '}{words}", Beside()


class _Reader:
    """Follows the lines: which program runs, and what it says of its tests."""

    def __init__(self) -> None:
        self.found = Statuses()
        self.seen = False
        self._place = ""
        self._open = False

    def line(self, line: str) -> None:
        """One more."""
        if broken := _NOT_BUILT.match(line):
            self.seen = True
            self.found.add(id_of(_target(*broken.groups()), ""), ERROR)
        elif running := _RUNNING.match(line):
            self.over()
            crate = f" ({running[2].replace('_', '-')})" if _UNIT.match(line) else ""
            self._place = running[1] + crate
        elif docs := _DOCS.match(line):
            self.over()
            self._place = f"doc {docs[1]}"
        elif _BEGINS.match(line):
            self.seen = self._open = True
        elif _ENDS.match(line):
            self._open = False
        elif self._open and (one := _ONE.match(line)):
            self.found.add(id_of(self._place, one[1]), _STATUS[one[2]])

    def over(self) -> None:
        """The program that ran has ended; one that did not come to its end broke off."""
        if self._open:
            self.found.add(id_of(self._place, ""), ERROR)
        self._open = False


def _target(crate: str, kind: str | None, name: str | None) -> str:
    """The place of a target as its running program is told, as far as its name says."""
    named = {"test": f"tests/{name}.rs", "lib": f"src/lib.rs ({crate.replace('_', '-')})"}
    return named.get(kind or "", f"{kind} {name}" if name else crate)
