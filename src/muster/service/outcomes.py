"""The counter's part for outcomes: say whether work was right, and how sure muster may be."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from muster.domain.aftermath import Aftermath, Shown, Sign
from muster.domain.confidence import Confidence
from muster.domain.errors import Conflict, Invalid
from muster.domain.plain import plain_line
from muster.service import shapes
from muster.service.desk import Desk
from muster.store import outcomes, projects, tasks
from muster.store.base import Tx
from muster.supervision.calibration import calibration_now
from muster.supervision.reliability import TARGET, reliability_of

_WORDS = {"right": True, "wrong": False}
_LONGEST = 1000


class Outcomes(Desk):
    """Everything a door can ask about what became of work."""

    async def tell_outcome(
        self, ref: str, outcome: str, why: str = "", by: str = "a person"
    ) -> dict[str, Any]:
        """Keep a person's word on whether a task's last work was right; it beats what was found.

        Raises:
            Invalid: the outcome is neither right nor wrong.
            Conflict: nothing of the task was judged.
        """
        if outcome not in _WORDS:
            raise Invalid(f"'{outcome[:60]}' is no outcome", hint="say right or wrong")
        words = plain_line(why, _LONGEST) or f"{by} says it was {outcome}"

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            verdict = outcomes.judged(tx, task.id)
            if verdict is None:
                raise Conflict(
                    f"nothing of {task.label} was judged yet",
                    hint="say it when an attempt of it has ended",
                )
            sign = Sign(_WORDS[outcome], Shown.SAID, words, by)
            return shapes.outcome_shape(outcomes.record(tx, task, verdict, sign))

        return await self._store.write(write)

    async def reliability(self, ref: str, target: float = TARGET) -> dict[str, Any]:
        """How well a project's confidences foretold what became of its work.

        Raises:
            Invalid: the target is no share.
        """
        if not 0 < target < 1:
            raise Invalid(
                f"target {target:g} is no share of wrong work",
                hint="name one between 0 and 1, such as 0.05",
            )

        def read(tx: Tx) -> tuple[str, list[Aftermath], list[tuple[Confidence, bool]]]:
            project = projects.get_project(tx, ref)
            return (
                project.id,
                outcomes.outcomes_of_project(tx, project.id),
                outcomes.known_of(tx, project.id),
            )

        project_id, found, known = await self._store.read(read)
        figures = reliability_of(((item.confidence, item.right) for item in found), target)
        bend = calibration_now(known)
        return {
            "project_id": project_id,
            **asdict(figures),
            "calibration": asdict(bend) if bend else None,
        }
