"""Rows into values: how the tables' columns become the domain's frozen things."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from muster.domain.aftermath import Aftermath, Shown
from muster.domain.agent import Agent, AgentStatus, Outcome, Role, Usage
from muster.domain.confidence import Confidence
from muster.domain.event import Event
from muster.domain.permission import Permissions
from muster.domain.queue import QueueSettings
from muster.domain.task import Autonomy, Stage, Task, TaskType
from muster.domain.verdict import (
    Breakpoint,
    BreakpointKind,
    Checkpoint,
    Decision,
    Finding,
    Severity,
    Step,
    Verdict,
)

AnyRow = Row[Any]


def task_of(row: AnyRow, needs: tuple[str, ...] = ()) -> Task:
    """A task row with the ids it waits for."""
    values = dict(row._mapping)
    values["type"] = TaskType(row.type)
    values["stage"] = Stage(row.stage)
    values["autonomy"] = Autonomy(row.autonomy) if row.autonomy else None
    values["paths"] = tuple(row.paths or ())
    return Task(**values, needs=needs)


def agent_of(row: AnyRow) -> Agent:
    """An agent row."""
    values = dict(row._mapping)
    usage = Usage(values.pop("input_tokens"), values.pop("output_tokens"), values.pop("cost_usd"))
    values["role"] = Role(row.role)
    values["status"] = AgentStatus(row.status)
    values["outcome"] = Outcome(row.outcome) if row.outcome else None
    values["permissions"] = Permissions(row.permissions or Permissions.BYPASS)
    values["hears"] = None if row.hears is None else bool(row.hears)
    return Agent(**values, usage=usage)


def event_of(row: AnyRow) -> Event:
    """An event row."""
    return Event(**row._mapping)


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as JSON keeps it."""
    return {
        "code": finding.code,
        "severity": str(finding.severity),
        "text": finding.text,
        "evidence": dict(finding.evidence),
    }


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision as JSON keeps it."""
    return {
        "step": str(decision.step),
        "reasons": list(decision.reasons),
        "question": decision.question,
        "kind": decision.kind,
        "options": list(decision.options),
        "feedback": decision.feedback,
        "park_until": decision.park_until,
        "counts": decision.counts,
    }


def verdict_of(row: AnyRow) -> Verdict:
    """A verdict row."""
    decision = dict(row.decision)
    decision["step"] = Step(decision["step"])
    decision["reasons"] = tuple(decision["reasons"])
    decision["options"] = tuple(decision["options"])
    findings = tuple(
        Finding(f["code"], Severity(f["severity"]), f["text"], f["evidence"]) for f in row.findings
    )
    return Verdict(
        id=row.id,
        task_id=row.task_id,
        attempt=row.attempt,
        agent_id=row.agent_id,
        findings=findings,
        decision=Decision(**decision),
        confidence=row.confidence,
        created_at=row.created_at,
        rev=row.rev,
        sure=Confidence.of_json(row.sure) if row.sure else None,
    )


def aftermath_of(row: AnyRow) -> Aftermath:
    """An outcome's row."""
    values = dict(row._mapping)
    return Aftermath(**{**values, "right": bool(row.right), "shown": Shown(row.shown)})


def breakpoint_of(row: AnyRow) -> Breakpoint:
    """A breakpoint row."""
    values = dict(row._mapping)
    values["kind"] = BreakpointKind(row.kind)
    values["options"] = tuple(row.options)
    return Breakpoint(**values)


def checkpoint_of(row: AnyRow) -> Checkpoint:
    """A checkpoint row."""
    return Checkpoint(**row._mapping)


def queue_of(row: Any) -> QueueSettings:
    """The one row of queue settings."""
    return QueueSettings(
        paused=bool(row.paused),
        stop_on_failure=bool(row.stop_on_failure),
        max_concurrent=row.max_concurrent,
        stopped_by=row.stopped_by,
        rev=row.rev,
    )
