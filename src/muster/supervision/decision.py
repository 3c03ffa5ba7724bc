"""The decision: case → the one next step. Pure, so that a kept case can be decided again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from muster.domain.verdict import Decision
from muster.supervision.acceptance import decide_written
from muster.supervision.bar import over_the_bar
from muster.supervision.case import About, Case
from muster.supervision.decide import decide_merge, decide_work, held_back
from muster.supervision.reported import decide_step
from muster.supervision.workers import decide_managed

_BY: Mapping[About, Callable[[Case], Decision]] = {
    About.WORK: decide_work,
    About.WORKERS: decide_managed,
    About.TESTS: decide_written,
    About.MERGE: decide_merge,
    About.STEP: decide_step,
}


def decide(case: Case) -> Decision:
    """What happens next, with what puts a person before it: too little confidence, and rules."""
    return held_back(over_the_bar(_BY[case.about](case), case), case)
