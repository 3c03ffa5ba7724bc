"""Asking the stages of evidence, the cheapest first, until something speaks against the work."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from muster.domain.plain import plain_line
from muster.domain.verdict import Finding, Severity
from muster.engine.tools import Tools, in_thread
from muster.failpoint import failpoint
from muster.supervision.evidence import CheckResult
from muster.supervision.quality import judge
from muster.supervision.severity import strongest_first
from muster.supervision.stage import Beside, Case, Rides, Run, Stage, Steps, Told

log = logging.getLogger("muster.engine")

RunAll = Callable[[Sequence[Run]], Awaitable[list[CheckResult]]]


def seed_of(tools: Tools, commit: str) -> str:
    """A secret that is always the same for a commit, and that no program of a run is told."""
    return hmac.new(tools.key, f"evidence {commit}".encode(), "sha256").hexdigest()


def rider_of(tools: Tools, case: Case) -> tuple[str, Beside] | None:
    """How the result's own test run is run so that a stage learns from it; None for as it is."""
    for name in case.settings.evidence:
        stage: object = tools.stages.get(name)
        if isinstance(stage, Rides):
            try:
                found = stage.ride(case)
            except Exception:  # a stranger's stage; it is asked again, and told then
                log.exception("the stage '%s' of evidence failed", name)
                continue
            if found is not None:
                return found
    return None


async def further(
    tools: Tools, case: Case, run_all: RunAll, *, again: bool = False
) -> tuple[Finding, ...]:
    """All findings about the work: those of its planned runs, and those of the stages.

    With `again` only those stages are asked that settle whether tests fail.
    """
    told = list(case.findings)
    case = _judged(case, told)
    for name in case.settings.evidence:
        stage = tools.stages.get(name)
        if stage is None:
            told.append(_no_such(name, sorted(tools.stages)))
        elif stage.settles or (case.green and not again):
            said = await _ask(name, stage, case, run_all)
            told += said.findings
            known = {result.name: result for result in said.results}
            case = replace(case, results=tuple(known.get(r.name, r) for r in case.results))
        case = _judged(case, told)
    return case.findings


def _judged(case: Case, told: Sequence[Finding]) -> Case:
    found = judge(case.task_type, case.plan, case.results, case.changed)
    return replace(case, findings=strongest_first((*found, *told)))


async def _ask(name: str, stage: Stage, case: Case, run_all: RunAll) -> Told:
    """What a stage says at its end; one that fails says that it did."""
    steps = stage.steps(case)
    results: list[CheckResult] | None = None
    while True:
        try:
            wanted = await in_thread(_step, steps, results)
        except Exception as fault:  # a stranger's stage
            log.exception("the stage '%s' of evidence failed", name)
            return Told((_failed(name, fault),))
        if isinstance(wanted, Told):
            return wanted
        # The folder of a run is named by it, and no two stages may share one.
        results = await run_all([replace(run, name=f"{name} {run.name}") for run in wanted])
        failpoint("evidence.ran")


def _step(steps: Steps, results: list[CheckResult] | None) -> Sequence[Run] | Told:
    """The runs that a stage wants next, or what it says at its end; it may read files."""
    try:
        return next(steps) if results is None else steps.send(results)
    except StopIteration as end:
        return end.value if isinstance(end.value, Told) else Told()


def _failed(name: str, fault: Exception) -> Finding:
    said = plain_line(f"{type(fault).__name__}: {fault}", 300)
    return Finding(
        "evidence.failed",
        Severity.ASK,
        f"The stage '{name}' of evidence failed: {said}",
        {"stage": name, "hint": "see the server's log; without it: the setting evidence"},
    )


def _no_such(name: str, known: Sequence[str]) -> Finding:
    return Finding(
        "evidence.missing",
        Severity.ASK,
        f"There is no stage of evidence '{plain_line(name, 60)}'; there are: {', '.join(known)}.",
        {"stage": name, "hint": f"muster project set evidence '{','.join(known)}'"},
    )
