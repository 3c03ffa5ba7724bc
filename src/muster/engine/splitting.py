"""A task that was too much for one attempt after the other: what its planner is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muster.domain.plain import few, plain_line
from muster.domain.task import Task
from muster.domain.verdict import Step, Verdict
from muster.knowledge.prompts import data, render
from muster.store import judgements
from muster.store.base import Tx
from muster.supervision.feedback import feedback_of

LEAST_PARTS = 2
_MOST_TOLD, _LONGEST_TAIL = 16_000, 3_000
_MOST_TESTS = 40


@dataclass(frozen=True, slots=True)
class Failed:
    """A task that is split: its attempts as one task, oldest first, and a person's word to it."""

    attempts: int
    told: str
    note: str

    @property
    def times(self) -> str:
        """How often it was refused, in words."""
        return "once" if self.attempts == 1 else f"{self.attempts} times"

    @property
    def prompt(self) -> str:
        """What its planner is told besides the wish."""
        return render(
            "model.plan.split",
            times=self.times,
            note=plain_line(self.note, 2000),
            least=LEAST_PARTS,
            attempts=data(self.told, _MOST_TOLD),
        )


def failed_before(tx: Tx, task: Task) -> Failed | None:
    """What the attempts of a task came to that is planned because of them; None for other plans."""
    known = judgements.verdicts_of(tx, task.id)
    if not known or known[-1].decision.step is not Step.SPLIT:
        return None
    counted = [verdict for verdict in known if verdict.decision.counts]
    tries = int((known[-1].case or {}).get("tries", 1))
    past = counted[-tries:]
    note = str((task.feedback or {}).get("note", ""))
    return Failed(len(past), "\n\n".join(_attempts(past)), note)


def _attempts(past: Sequence[Verdict]) -> Iterator[str]:
    """Why each was refused; of the last one also what its runs printed."""
    for verdict in past:
        agent = plain_line(str((verdict.case or {}).get("agent", "an agent")))
        told = feedback_of(verdict.findings)
        lines = [f"Attempt {verdict.attempt}, by {agent}:"]
        lines += [f"- {plain_line(found['text'], 1000)}" for found in told["findings"]]
        if told["failing"]:
            lines.append(f"- failing: {few(told['failing'], _MOST_TESTS, 300)}")
        if verdict is past[-1]:
            lines += [
                f"{t['name']} ended with:\n{t['tail'][-_LONGEST_TAIL:]}" for t in told["tails"]
            ]
        yield "\n".join(lines)
