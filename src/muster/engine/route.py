"""After a verdict or an answer: which step of the walk follows; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from muster.domain.event import NewEvent
from muster.domain.task import PLAN, Stage, Task
from muster.domain.verdict import BreakpointKind, Decision, Step, Verdict
from muster.engine.tools import Job
from muster.store.checkpoints import NewCheckpoint
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move
from muster.store.reports import REPORTING

RESTART = {"base_commit": None, "result_commit": None, "merged_commit": None}
"""Columns of a task whose next attempt starts from the target branch as it is then."""


def after_verdict(
    job: Job,
    verdict: Verdict,
    point: NewCheckpoint | None,
    rules: Sequence[Mapping[str, Any]] = (),
    events: tuple[NewEvent, ...] = (),
) -> Move:
    """The move that a verdict leads to, with the verdict and its question in one transaction.

    `point` is the work that was judged, None where there is none. `rules` are those of breakpoints
    that hold, as a question carries them; `events` tell of them.
    """
    task, decision = job.task, verdict.decision
    columns: dict[str, Any] = {"result_commit": point.commit if point else task.result_commit}
    if decision.feedback:
        columns["feedback"] = {**_asked_before(task), **decision.feedback}
    if not decision.counts:
        columns["tries"] = max(0, task.tries - 1)
    stage = _stage(decision, job)
    match decision.step:
        case Step.RETRY | Step.OTHER_AGENT | Step.ROLL_BACK:
            if columns.get("feedback", {}).pop("restart", False):
                columns |= RESTART
            if decision.commit:
                columns["result_commit"] = decision.commit
            if decision.agent and task.step not in REPORTING:
                columns["agent"] = decision.agent
        case Step.SPLIT:
            columns |= _as_plan(task, verdict)
        case Step.PARK:
            columns["due_at"] = decision.park_until
        case Step.ACCEPT | Step.ASK | Step.GIVE_UP:
            pass
        case _:
            assert_never(decision.step)
    return Move(
        Fence.of(task),
        stage,
        decision.reasons[0] if decision.reasons else "",
        columns=columns,
        events=events,
        verdict=verdict,
        ask=_question(decision, verdict, rules) if stage is Stage.WAITING else None,
        checkpoint=point,
        cause=task.came_by,
    )


def _asked_before(task: Task) -> dict[str, Any]:
    """What reviewers want stays to be done, whatever else speaks against an attempt at it."""
    wanted = (task.feedback or {}).get("reviews")
    return {"reviews": wanted} if wanted else {}


def _as_plan(task: Task, verdict: Verdict) -> dict[str, Any]:
    """Columns of a task that is planned from now on; what its attempts did stays a checkpoint.

    The parts may have other agents, unless a person chose one.
    """
    chosen = bool((verdict.case or {}).get("agent_is_chosen"))
    note = (task.feedback or {}).get("note")
    return {
        **RESTART,
        "playbook": PLAN,
        "agent": task.agent if chosen else None,
        "feedback": {"note": note} if note else None,
    }


def _stage(decision: Decision, job: Job) -> Stage:
    match decision.step:
        case Step.ACCEPT:
            if job.task.step in REPORTING:
                return Stage.HANDED_ON
            unmerged = job.task.manages or job.task.writes_tests
            return Stage.COMPLETED if unmerged else Stage.MERGING
        case Step.RETRY | Step.OTHER_AGENT | Step.ROLL_BACK | Step.SPLIT | Step.PARK:
            return Stage.QUEUED
        case Step.ASK:
            return Stage.WAITING
        case Step.GIVE_UP:
            return Stage.FAILED
        case _:
            assert_never(decision.step)


def _question(
    decision: Decision, verdict: Verdict, rules: Sequence[Mapping[str, Any]]
) -> NewBreakpoint:
    return NewBreakpoint(
        BreakpointKind(decision.kind),
        decision.question,
        decision.options,
        {
            "verdict": verdict.id,
            "reasons": list(decision.reasons),
            "findings": [
                {"code": f.code, "severity": str(f.severity), "text": f.text}
                for f in verdict.findings
            ],
            **({"rules": list(rules)} if rules else {}),
        },
    )
