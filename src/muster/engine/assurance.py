"""How sure muster is of a verdict, by the evidence and by what became of the project's work."""

from __future__ import annotations

from dataclasses import replace

from muster.domain.verdict import Verdict
from muster.engine.tools import Job, Tools
from muster.store import outcomes
from muster.supervision.bar import over_the_bar
from muster.supervision.calibration import calibration_now
from muster.supervision.confidence import confidence_of


async def assured(tools: Tools, job: Job, verdict: Verdict) -> Verdict:
    """The verdict with its confidence, and with a question where that is below the project's bar.

    A manager's work is that of its workers, each of which has its own.
    """
    task = job.task
    if task.manages:
        return verdict
    known = await tools.store.read(outcomes.known_of, task.project_id)
    bend = calibration_now(known)
    sure = confidence_of(verdict.findings, task.type, calibration=bend)
    decision = over_the_bar(verdict.decision, sure, job.settings.accept_at, task.label)
    return replace(verdict, confidence=sure.value, sure=sure, decision=decision)
