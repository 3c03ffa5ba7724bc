"""Acceptance tests as they are kept and told: which files, what is shown of them, whose is a test.

A file is what is shown or hidden, never a single test: whoever may run one file of tests beside his
own code could have it print the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from muster.domain.project import ON, ProjectSettings
from muster.domain.task import OWES_PROOF, TaskType
from muster.domain.verdict import Finding

WRITTEN = "acceptance.written"
"""The code of the finding that keeps them."""


@dataclass(frozen=True, slots=True)
class Writers:
    """Who can write acceptance tests: the own agents, in their order; `usual` does tasks unsaid."""

    own: tuple[str, ...]
    usual: str

    def author_for(
        self,
        settings: ProjectSettings,
        kind: TaskType,
        agent: str | None,
        asked: bool | None = None,
    ) -> str | None:
        """Who writes the tests that judge a task which `agent` does; None where none are owed.

        `asked` is what a person said of them; where nothing was said, it is as the project says.
        """
        owed = settings.acceptance_tests == ON if asked is None else asked
        if not owed or kind not in OWES_PROOF or not settings.test_command:
            return None
        coder = agent or settings.agent or self.usual
        others = (name for name in self.own if name != coder)
        return settings.acceptance_agent or next(others, coder)


@dataclass(frozen=True, slots=True)
class Written:
    """Acceptance tests that were found fit, as their task's verdict keeps them.

    `tests` fail on the base, by their ids there: where a file cannot be loaded on the base, it
    stands for the tests in it. `dropped` pass there already and prove nothing. Files: `visible`
    ones are shown to the coder, `hidden` ones to nobody before the end, and `shared` ones hold no
    tests, so they are shown along.
    """

    base: str
    commit: str
    tests: tuple[str, ...]
    dropped: tuple[str, ...]
    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    shared: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.visible, *self.hidden, *self.shared)

    @property
    def shown(self) -> tuple[str, ...]:
        """Those whose texts the coder is given."""
        return (*self.visible, *self.shared)

    def is_visible(self, test: str) -> bool:
        """Whether a test is of a file that is shown; one of no known file is not."""
        return file_of(test, self.files) in self.visible

    def as_json(self) -> dict[str, object]:
        """As a finding carries it."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def written_of(findings: Iterable[Finding]) -> Written | None:
    """The acceptance tests that a verdict found fit, if it did."""
    said = next((finding.evidence for finding in findings if finding.code == WRITTEN), None)
    if said is None:
        return None
    return Written(
        base=str(said["base"]),
        commit=str(said["commit"]),
        tests=tuple(said["tests"]),
        dropped=tuple(said["dropped"]),
        visible=tuple(said["visible"]),
        hidden=tuple(said["hidden"]),
        shared=tuple(said["shared"]),
    )


def file_of(test: str, files: Iterable[str]) -> str | None:
    """The file that a test's id names, by path or as a module; the one named most fully."""
    best: tuple[int, str] | None = None
    for path in files:
        found = _named(test, path)
        if found and (best is None or found > best[0]):
            best = (found, path)
    return best[1] if best else None


def _named(test: str, path: str) -> int:
    """How many parts of a path the id names in a row, its last one among them; 0 for none."""
    if path in test:
        return len(path.split("/")) + 1
    parts = str(PurePosixPath(path).with_suffix("")).split("/")
    for first in range(len(parts)):
        name = re.escape(".".join(parts[first:]))
        if re.search(rf"(?<![\w.]){name}(?!\w)", test):
            return len(parts) - first
    return 0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a coder may know of the tests that judge it: how many, and the files it may read.

    `files` are paths with their texts; `hidden` is how many files there are besides.
    """

    tests: int
    files: tuple[tuple[str, str], ...]
    hidden: int


def shown_of(written: Written, read: Callable[[str], bytes]) -> Shown:
    """What a coder may know; `read` gives a file's bytes."""
    texts = tuple((path, read(path).decode("utf-8", "replace")) for path in written.shown)
    return Shown(len(written.tests), texts, len(written.hidden))
