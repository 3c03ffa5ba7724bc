"""What every stage of evidence must keep: the same case, the same runs, no made-up answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.checks import CheckPlan
from muster.supervision.evidence import CheckResult
from muster.supervision.stage import Case, Rides, Run, Stage, Told

MOST_ROUNDS = 100


def lost(run: Run) -> CheckResult:
    """A run that nobody saw end."""
    return CheckResult(run.name, run.command, None, "lost", 0.0, "run-1", "")


def garbled(run: Run) -> CheckResult:
    """A run that ends well and leaves what is no report."""
    left = '{"files": [1, null], "\x00": {}}'
    return CheckResult(run.name, run.command, 0, "exit", 0.1, "run-1", "", {}, "", "/w", left)


def asked(
    stage: Stage, case: Case, ends: Callable[[Run], CheckResult]
) -> tuple[Told, list[tuple[Run, ...]]]:
    """What a stage says when its runs end so, and the runs."""
    steps, rounds = stage.steps(case), []
    try:
        wanted = next(steps)
        while len(rounds) < MOST_ROUNDS:
            rounds.append(tuple(wanted))
            wanted = steps.send([ends(run) for run in wanted])
    except StopIteration as end:
        return end.value, rounds
    raise AssertionError("it does not end")


class StageContract:
    """Give `stage`, `case` in which it wants runs, and `ends`: how they end when all is well."""

    @pytest.fixture
    def stage(self) -> Stage:
        raise NotImplementedError

    @pytest.fixture
    def case(self) -> Case:
        raise NotImplementedError

    @pytest.fixture
    def ends(self) -> Callable[[Run], CheckResult]:
        raise NotImplementedError

    def test_it_wants_the_same_runs_when_it_is_asked_again(self, stage, case, ends):
        first, second = asked(stage, case, ends), asked(stage, case, ends)
        assert first == second
        assert first[1] or isinstance(stage, Rides)

    def test_its_runs_are_at_planned_places_and_each_has_a_name_of_its_own(self, stage, case, ends):
        runs = [run for wanted in asked(stage, case, ends)[1] for run in wanted]
        assert all(case.plan.run(run.at) for run in runs)
        assert all(run.command.strip() for run in runs)
        assert len({run.name for run in runs}) == len(runs)

    def test_it_ends_with_findings_that_can_be_kept_and_shown(self, stage, case, ends):
        told, _ = asked(stage, case, ends)
        for finding in told.findings:
            assert isinstance(finding, Finding)
            assert re.fullmatch(r"[a-z_]+\.[a-z_]+", finding.code)
            assert finding.text.strip()
            assert json.loads(json.dumps(dict(finding.evidence))) == dict(finding.evidence)

    def test_it_reads_whatever_a_run_leaves(self, stage, case):
        assert isinstance(asked(stage, case, garbled)[0], Told)

    def test_runs_that_nobody_saw_end_speak_for_nothing(self, stage, case):
        told, rounds = asked(stage, case, lost)
        spoke = any(f.severity in {Severity.OK, Severity.VETO} for f in told.findings)
        assert not (rounds and spoke)
        assert told.results == ()

    def test_of_a_change_of_nothing_it_wants_nothing(self, stage):
        case = Case(TaskType.CHORE, ProjectSettings(), CheckPlan(None), (), ())
        told, rounds = asked(stage, case, lost)
        assert rounds == []
        assert all(f.severity not in {Severity.OK, Severity.VETO} for f in told.findings)
