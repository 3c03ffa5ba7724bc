"""The seam of stages: what else is run to see whether work is right, once its tests have run.

A stage is a generator that runs nothing itself: it yields the runs that it wants, is sent how they
ended, and returns what it found. The same case always leads to the same runs, so that a stage
whose server died is asked again from its beginning, and finds its runs where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Finding, Severity, vetoed
from muster.supervision.beside import GIVEN, Beside, own_file
from muster.supervision.checks import CheckPlan
from muster.supervision.evidence import Changes, CheckResult

__all__ = [
    "GIVEN", "Beside", "Case", "Rides", "Run", "Stage", "Steps", "Told", "own_file",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One more run. `at` names the planned run whose files it sees (`base`, `result`, …).

    With `anew` it is run although it is known how it went before: to see whether it goes the same
    way again.
    """

    name: str
    command: str
    at: str
    beside: Beside = field(default_factory=Beside)
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """What a stage sees: the change, the planned runs and their ends, and what was found so far.

    `added` are the numbers of the lines that each file gained. `text` gives a file of the result,
    None when it has none or it is no text. `rider` is what the result's own run was given besides.
    `seed` is a secret that is always the same for the same work.
    """

    task_type: TaskType
    settings: ProjectSettings
    plan: CheckPlan
    results: tuple[CheckResult, ...]
    changed: Changes
    added: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    text: Callable[[str], str | None] = lambda _path: None
    findings: tuple[Finding, ...] = ()
    rider: Beside | None = None
    seed: str = ""

    def run(self, name: str) -> CheckResult | None:
        """How the planned run of that name ended."""
        return next((run for run in self.results if run.name == name), None)

    @property
    def vetoed(self) -> bool:
        """Whether something speaks against the work already."""
        return vetoed(self.findings)

    @property
    def green(self) -> bool:
        """Whether the result's tests pass, but for those that had failed before."""
        codes = {f.code for f in self.findings if f.severity in {Severity.OK, Severity.NOTE}}
        return not self.vetoed and bool(codes & {"tests.green", "tests.red_before"})


@dataclass(frozen=True, slots=True)
class Told:
    """What a stage found. `results` stand in the place of planned ones of the same name."""

    findings: tuple[Finding, ...] = ()
    results: tuple[CheckResult, ...] = ()


Steps = Generator[Sequence[Run], Sequence[CheckResult], Told]


class Stage(Protocol):
    """One stage. It is asked while nothing speaks against the work and its tests pass.

    One that `settles` is asked also when they fail: it says whether they really do.
    """

    settles: bool

    def steps(self, case: Case) -> Steps:
        """Yield runs, two at a time are run; end with what they say."""
        ...


@runtime_checkable
class Rides(Protocol):
    """A stage that learns what it needs from the result's own test run, at no further run."""

    def ride(self, case: Case) -> tuple[str, Beside] | None:
        """The command to run in place of the test command, and what it is given; None for as is.

        The case has no results yet. The command must end as the test command would.
        """
        ...
