"""What a manager's attempt is worth: that of its workers, by their own verdicts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.domain.agent import Outcome
from muster.domain.plain import plain_line
from muster.domain.task import TERMINAL, Stage, Task
from muster.domain.verdict import OPTIONS, BreakpointKind, Decision, Finding, Severity, Step
from muster.supervision.case import Case
from muster.supervision.decide import decide_work
from muster.supervision.severity import strongest_first
from muster.supervision.validate import about_agent

_ENDED = frozenset({"worker.failed", "agent.says_failed"})
"""What speaks against the attempt and is not mended by another one."""


@dataclass(frozen=True, slots=True)
class Worked:
    """A worker's task with whether its last verdict passed; None where it was never judged."""

    task: Task
    passed: bool | None


def is_over(outcome: Outcome, summary: object, workers: Iterable[Task]) -> bool:
    """Whether an ended attempt can be judged now.

    One whose agent has summed up is judged once no worker of it is open; any other one at once.
    """
    if outcome is not Outcome.COMPLETED or summary is None:
        return True
    return not any(worker.stage not in TERMINAL for worker in workers)


def judge_workers(
    outcome: Outcome,
    reason: str,
    summary: Mapping[str, Any] | None,
    workers: Sequence[Worked],
    *,
    had_wish: bool,
) -> tuple[Finding, ...]:
    """The findings about how a manager ended and what became of its workers, strongest first.

    One that `had_wish` and of which no worker completed anything has nothing to show for it.
    """
    found = [*about_agent(outcome, reason, summary), *map(_about, workers)]
    if summary is None and outcome is Outcome.COMPLETED:
        text = "The manager ended without handing in a summary."
        found.append(Finding("manager.no_summary", Severity.VETO, text))
    summed_up = outcome is Outcome.COMPLETED and summary is not None
    if summed_up and not any(worked.task.stage is Stage.COMPLETED for worked in workers):
        text = "No worker of the manager completed anything."
        severity = Severity.ASK if had_wish else Severity.NOTE
        found.append(Finding("manager.no_work", severity, text))
    return strongest_first(found)


def _about(worked: Worked) -> Finding:
    task = worked.task
    name = f"{task.label} ({task.errand})"
    evidence = {
        "worker": task.errand,
        "task": task.label,
        "status": str(task.status),
        "passed": worked.passed,
        "merged_commit": task.merged_commit,
    }
    why = plain_line(task.reason, 300)
    if task.stage is Stage.COMPLETED:
        how = "and is merged" if task.merged_commit else "without a merge"
        return Finding("worker.completed", Severity.OK, f"{name} is completed {how}.", evidence)
    if task.stage is Stage.FAILED:
        text = f"{name} failed: {why}" if why else f"{name} failed."
        return Finding("worker.failed", Severity.VETO, text, evidence)
    if task.stage is Stage.CANCELLED:
        return Finding("worker.cancelled", Severity.NOTE, f"{name} was cancelled.", evidence)
    return Finding("worker.open", Severity.NOTE, f"{name} is {task.status}.", evidence)


def decide_managed(case: Case) -> Decision:
    """The one next step of a manager's task; there is nothing to merge.

    Failed workers end it, or are a person's to decide about; anything else that speaks against the
    attempt is tried again like any work.
    """
    found = strongest_first(case.findings)
    against = [f for f in found if f.severity is Severity.VETO]
    texts = tuple(dict.fromkeys(f.text for f in found))
    open_questions = [f for f in found if f.severity is Severity.ASK]
    completed = case.outcome is Outcome.COMPLETED
    if completed and not against and not open_questions:
        return Decision(Step.ACCEPT, (*_counted(found), *texts))
    if completed and all(f.code in _ENDED for f in against):
        if against and case.unattended:
            return Decision(Step.GIVE_UP, texts)
        kind = BreakpointKind.PROBLEM
        why = (against or open_questions)[0].text
        question = f"Not all of {case.label} was done: {why} Have its manager try again?"
        options = tuple(map(str, OPTIONS[kind]))
        return Decision(Step.ASK, texts, question, str(kind), options)
    return decide_work(case)


def _counted(found: Iterable[Finding]) -> tuple[str, ...]:
    """Of several workers first how many have completed."""
    ends = [f.code for f in found if f.code.startswith("worker.")]
    done = ends.count("worker.completed")
    return (f"{done} of {len(ends)} workers have completed.",) if len(ends) > 1 else ()
