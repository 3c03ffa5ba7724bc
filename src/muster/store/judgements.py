"""Verbs about what was judged and asked: verdicts, breakpoints, the queue's holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from muster.domain.errors import Conflict, NotFound
from muster.domain.event import NewEvent
from muster.domain.ids import new_id
from muster.domain.queue import QueueSettings
from muster.domain.task import Task
from muster.domain.verdict import (
    OPTIONS,
    Answer,
    Breakpoint,
    BreakpointKind,
    Decision,
    Verdict,
)
from muster.store import schema
from muster.store.base import Tx
from muster.store.rows import (
    breakpoint_of,
    decision_json,
    finding_json,
    queue_of,
    verdict_of,
)

_VERDICT = insert(schema.verdicts)
_BREAKPOINT = insert(schema.breakpoints)
_BREAKPOINT_BY_ID = select(schema.breakpoints).where(schema.breakpoints.c.id == bindparam("ref"))
_OPEN_OF = select(schema.breakpoints.c.task_id, schema.breakpoints.c.id).where(
    schema.breakpoints.c.task_id.in_(bindparam("ids", expanding=True)),
    schema.breakpoints.c.resolved_at.is_(None),
)
_QUEUE = select(
    schema.queue_settings.c.paused,
    schema.queue_settings.c.stop_on_failure,
    schema.queue_settings.c.max_concurrent,
    schema.queue_settings.c.stopped_by,
    schema.queue_settings.c.rev,
)


@dataclass(frozen=True, slots=True)
class NewBreakpoint:
    """A question on its way to a person."""

    kind: BreakpointKind
    question: str
    options: tuple[str, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)


def add_verdict(tx: Tx, task: Task, verdict: Verdict) -> int:
    """Keep a verdict with its two events: what was concluded, and what happens next."""
    rev = tx.emit(
        NewEvent(
            "verdict.reached",
            verdict.id,
            {
                "attempt": verdict.attempt,
                "passed": verdict.passed,
                "findings": [
                    {"code": f.code, "severity": str(f.severity), "text": f.text}
                    for f in verdict.findings
                ],
            },
            task.project_id,
            task.id,
        )
    )
    decision = verdict.decision
    tx.emit(
        NewEvent(
            "decision.made",
            task.id,
            {
                "attempt": verdict.attempt,
                "step": str(decision.step),
                "reasons": list(decision.reasons),
                **_turn(decision),
            },
            task.project_id,
            task.id,
            cause=rev,
        )
    )
    tx.conn.execute(
        _VERDICT,
        {
            "id": verdict.id,
            "task_id": task.id,
            "attempt": verdict.attempt,
            "agent_id": verdict.agent_id,
            "findings": [finding_json(f) for f in verdict.findings],
            "decision": decision_json(decision),
            "confidence": verdict.confidence,
            "case": verdict.case,
            "sure": verdict.sure.as_json() if verdict.sure else None,
            "created_at": tx.now,
            "rev": rev,
        },
    )
    return rev


def _turn(decision: Decision) -> dict[str, str]:
    """Who tries next and from which work on, where it is not who and what it was."""
    told = {"agent": decision.agent, "commit": decision.commit}
    return {name: value for name, value in told.items() if value}


def verdicts_of(tx: Tx, task_id: str) -> list[Verdict]:
    """All verdicts about a task, oldest first."""
    table = schema.verdicts
    rows = tx.conn.execute(select(table).where(table.c.task_id == task_id).order_by(table.c.rev))
    return [verdict_of(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with what its task is called, and whether that said itself how far it may go."""

    verdict: Verdict
    number: int
    own_autonomy: bool


def judged_after(tx: Tx, project_id: str, rev: int, limit: int) -> list[Judged]:
    """The verdicts about a project's tasks after event `rev`, oldest first."""
    table, task = schema.verdicts, schema.tasks
    query = (
        select(table, task.c.number, task.c.autonomy)
        .join(task, task.c.id == table.c.task_id)
        .where(task.c.project_id == project_id, table.c.rev > rev)
        .order_by(table.c.rev)
        .limit(limit)
    )
    return [
        Judged(verdict_of(row), row.number, row.autonomy is not None)
        for row in tx.conn.execute(query)
    ]


def has_passed(tx: Tx, task_id: str) -> bool | None:
    """Whether a task's last verdict passed; None where it was never judged."""
    verdicts = verdicts_of(tx, task_id)
    return verdicts[-1].passed if verdicts else None


def raise_breakpoint(tx: Tx, task: Task, new: NewBreakpoint) -> str:
    """Ask a person; the id of the question."""
    breakpoint_id = new_id("bp")
    rev = tx.emit(
        NewEvent(
            "breakpoint.raised",
            breakpoint_id,
            {"kind": str(new.kind), "question": new.question, "options": list(new.options)},
            task.project_id,
            task.id,
        )
    )
    tx.conn.execute(
        _BREAKPOINT,
        {
            "id": breakpoint_id,
            "task_id": task.id,
            "project_id": task.project_id,
            "kind": str(new.kind),
            "question": new.question,
            "options": list(new.options),
            "evidence": dict(new.evidence),
            "rev": rev,
            "created_at": tx.now,
            "note": "",
        },
    )
    return breakpoint_id


def ask_to_start(tx: Tx, task: Task) -> None:
    """Ask a person whether a proposed task should start."""
    kind = BreakpointKind.START
    question = f"Start {task.label}: {task.title}?"
    raise_breakpoint(tx, task, NewBreakpoint(kind, question, tuple(map(str, OPTIONS[kind]))))


def get_breakpoint(tx: Tx, breakpoint_id: str) -> Breakpoint:
    """A breakpoint by id.

    Raises:
        NotFound: there is no such breakpoint.
    """
    row = tx.conn.execute(_BREAKPOINT_BY_ID, {"ref": breakpoint_id}).first()
    if row is None:
        raise NotFound(
            f"there is no breakpoint '{breakpoint_id}'", hint="muster inbox shows what waits"
        )
    return breakpoint_of(row)


def list_breakpoints(
    tx: Tx, *, open_only: bool = True, task_id: str | None = None, limit: int = 200
) -> list[Breakpoint]:
    """Breakpoints, oldest first."""
    table = schema.breakpoints
    query = select(table).order_by(table.c.created_at, table.c.id).limit(limit)
    if open_only:
        query = query.where(table.c.resolved_at.is_(None))
    if task_id:
        query = query.where(table.c.task_id == task_id)
    return [breakpoint_of(row) for row in tx.conn.execute(query)]


def open_by_task(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """For each of the tasks, the id of its open breakpoint."""
    if not ids:
        return {}
    return dict(tx.conn.execute(_OPEN_OF, {"ids": ids}).all())


def breakpoints_since(tx: Tx, rev: int) -> list[Breakpoint]:
    """Breakpoints that changed after event `rev`."""
    table = schema.breakpoints
    rows = tx.conn.execute(select(table).where(table.c.rev > rev).order_by(table.c.rev))
    return [breakpoint_of(row) for row in rows]


def refuse_resolved(tx: Tx, breakpoint_id: str) -> None:
    """Raise `Conflict`, saying by whom and how, if the breakpoint was answered before."""
    found = get_breakpoint(tx, breakpoint_id)
    if not found.open:
        raise Conflict(
            f"this was already answered with '{found.answer}' by {found.by or 'muster'}",
            hint="muster task show tells what came of it",
            answer=found.answer,
            by=found.by,
        )


def answer_question(
    tx: Tx, question: Breakpoint, answer: str, note: str, by: str | None
) -> Breakpoint:
    """Answer what an agent asked; its task goes on as it was.

    Raises:
        Conflict: it was answered before.
    """
    refuse_resolved(tx, question.id)
    _close(tx, question, answer, note, by)
    return get_breakpoint(tx, question.id)


def resolve_of_task(tx: Tx, task: Task, answer: str, note: str, by: str | None) -> None:
    """Close what was asked about a task, because the task goes on."""
    for found in list_breakpoints(tx, task_id=task.id):
        said = str(Answer.DENY) if found.kind is BreakpointKind.PERMISSION else answer
        _close(tx, found, said, note, by)


def _close(tx: Tx, question: Breakpoint, answer: str, note: str, by: str | None) -> None:
    said = {"answer": answer, "note": note, "by": by}
    rev = tx.emit(
        NewEvent("breakpoint.resolved", question.id, said, question.project_id, question.task_id)
    )
    table = schema.breakpoints
    tx.conn.execute(
        update(table)
        .where(table.c.id == question.id, table.c.resolved_at.is_(None))
        .values(resolved_at=tx.now, answer=answer, note=note, by=by, rev=rev)
    )


def queue_settings(tx: Tx) -> QueueSettings:
    """What holds work back now."""
    return queue_of(tx.conn.execute(_QUEUE).one())


def change_queue(
    tx: Tx,
    columns: Mapping[str, Any],
    *,
    kind: str = "queue.changed",
    task: Task | None = None,
    said: Mapping[str, Any] | None = None,
) -> QueueSettings:
    """Set what holds work back; `said` goes with the event."""
    rev = tx.emit(
        NewEvent(
            kind,
            task.id if task else "queue",
            {**columns, **(said or {})},
            task.project_id if task else None,
            task.id if task else None,
        )
    )
    stored = {k: int(v) if isinstance(v, bool) else v for k, v in columns.items()}
    tx.conn.execute(update(schema.queue_settings).values(**stored, rev=rev))
    return queue_settings(tx)
