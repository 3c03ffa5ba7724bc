"""The seam of test runners: how a project's test command is brought to tell of single tests.

A runner is recognised by the command that starts it. It says what to run in the command's place so
that each test is reported, reads what came of it, and says how single tests are run again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from muster.supervision import junit
from muster.supervision.beside import Beside


@dataclass(frozen=True, slots=True)
class Ran:
    """What a test run left: a stranger's bytes, whatever the runner is.

    `report` is the file at MUSTER_JUNIT. `output` is the end of what was said on both streams;
    `whole` gives standard output from its first byte, None when some of it was not kept. `root` is
    the folder it ran in.
    """

    report: bytes | None
    output: str = ""
    whole: Callable[[], str | None] = lambda: None
    root: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """How each test ended, by its id: `place::name`, and `place::` of what cannot be loaded.

    None: nothing tells. `output` is what people are shown in place of what was printed.
    """

    tests: Mapping[str, str] | None
    output: str | None = None


class Runner(Protocol):
    """One test runner. It is asked only about commands in which its name stands as a word.

    `failed` is the exit status with which it says that tests failed, and nothing worse.
    `test_paths` are the files that are tests by its custom, where a project sets none of its own,
    and `configs` those that decide what it runs; both are globs as in the setting `test_paths`.
    """

    failed: int
    test_paths: tuple[str, ...]
    configs: tuple[str, ...]

    def starts(self, line: str) -> int:
        """How many times a shell line visibly starts it in a way that it can be made to report."""
        ...

    def telling(self, command: str) -> tuple[str, Beside] | None:
        """The command so that it reports each test, with what it is given; None when it cannot be.

        It must end as the command would. A command that `only` or a stage made is asked about too.
        """
        ...

    def read(self, ran: Ran) -> Said:
        """What a run of `telling` says.

        Raises:
            Invalid: what it left cannot be used.
        """
        ...

    def only(self, command: str, tests: Iterable[str]) -> tuple[str, Beside] | None:
        """The command so that it runs some tests, by their ids; None when it cannot be.

        Others may run along. An id without a name means all tests of that place.
        """
        ...


def by_junit(ran: Ran) -> Said:
    """What a run says that left JUnit XML at MUSTER_JUNIT.

    Raises:
        Invalid: it is none.
    """
    return Said(None if ran.report is None else junit.parse(ran.report))


Package = Callable[[], str | None]
"""Gives the text of `package.json` where a command runs; asked if it runs one of its scripts."""


@dataclass(frozen=True, slots=True)
class Runners:
    """The runners that there are by name, each loaded when its name first stands in a command."""

    load: Mapping[str, Callable[[], Runner | None]] = field(default_factory=dict)

    def of(self, command: str, package: Package = lambda: None) -> Runner | None:
        """The one that a command starts, itself or by a script of `package.json`; once at that."""
        found = self._started(command)
        if found is None and _SCRIPT.search(command):
            found = self._started(_behind(command, package))
        return found

    def named(self, command: str) -> list[Runner]:
        """Those whose names stand in it, in their order there."""
        said = command.replace(".", "")
        places = ((_word(name).search(said), name) for name in self.load)
        found = sorted((at.start(), name) for at, name in places if at)
        return [runner for _, name in found if (runner := self.load[name]()) is not None]

    def _started(self, line: str) -> Runner | None:
        return next((runner for runner in self.named(line) if runner.starts(line) == 1), None)


@cache
def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")


_SCRIPT = re.compile(
    r"(?<![\w./-])(?:npm|pnpm|yarn|bun)\s+(?:run(?:-script)?\s+([\w:.-]+)|(test|t|tst)(?![\w:.-]))"
)
_DEEPEST = 5
_FOLDER = re.compile(r"^\s*cd\s+([\w./-]+)\s*&&")


def package_path(command: str) -> str:
    """Where in the repository that file lies: at the top, or where the command goes first."""
    folder = _FOLDER.match(command)
    parts = [part for part in (folder[1] if folder else "").split("/") if part not in {"", "."}]
    return "/".join([*parts, "package.json"])


def _behind(command: str, package: Package) -> str:
    """The command with the texts of the scripts in the place of their names."""
    try:
        whole: Any = json.loads(package() or "")
        scripts = dict(whole["scripts"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return command

    def text(match: re.Match[str]) -> str:
        name = match[1] or "test"
        return str(scripts[name])[:2000] if name in scripts else " "

    line = command
    for _ in range(_DEEPEST):
        if not _SCRIPT.search(line) or len(line) > 20_000:
            break
        line = _SCRIPT.sub(text, line)
    return line
