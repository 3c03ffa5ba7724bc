"""How sure muster is of work, by the evidence and by what became of the project's work before."""

from __future__ import annotations

from collections.abc import Sequence

from muster.domain.confidence import Confidence
from muster.domain.verdict import Finding
from muster.engine.tools import Job, Tools, in_thread
from muster.store import outcomes
from muster.supervision.calibration import calibration_now
from muster.supervision.confidence import confidence_of


async def sure_of(tools: Tools, job: Job, findings: Sequence[Finding]) -> Confidence | None:
    """The confidence in an attempt's work.

    None for a manager's: it is that of its workers, each of which has its own; and for tests that
    another one's work is judged by.
    """
    task = job.task
    if task.manages or task.writes_tests:
        return None
    known = await tools.store.read(outcomes.known_of, task.project_id)
    bend = await in_thread(calibration_now, known) if known else None
    return confidence_of(findings, task.type, calibration=bend)
