"""Verbs about reports of roles: kept, told as the event that leads on, with what comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from muster.domain.agent import Role
from muster.domain.event import NewEvent
from muster.domain.playbook import (
    APPROVED,
    AUDIT,
    AUDITED,
    CHANGES,
    DEPLOYED,
    NOT_DEPLOYED,
    NOT_VERIFIED,
    PLANNED,
    REVIEWED,
    VERIFIED,
    Act,
)
from muster.domain.task import Stage, Task, TaskType
from muster.domain.verdict import OPTIONS, BreakpointKind
from muster.failpoint import failpoint
from muster.store.base import Tx
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Move, move
from muster.store.orders import comes_of, made_of
from muster.store.papers import ABOUT, ANALYSIS, DEPLOYMENT, REVIEWS, paper_of, put_paper
from muster.store.pulls import pull_of
from muster.store.routing import book_of
from muster.store.tasks import get_task

_PRIORITY = {"high": 2, "medium": 0, "low": -2}


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent of a role handed in, as plain JSON."""

    role: Role
    agent_id: str
    by: str
    report: Mapping[str, Any]


def reported(tx: Tx, step: Move, said: Said) -> Task:
    """Hand a task on with what its role reported; `step` is the move that a verdict led to.

    Raises:
        Stale: the claim has passed on; then nothing is kept.
    """
    task = get_task(tx, step.fence.task_id)
    event, extra = _KEPT[said.role](tx, task, said)
    if extra is not None:
        step = replace(step, **extra)
    moved = move(tx, step)
    failpoint("report.before_event")
    if event is not None:
        kind, payload = event
        tx.emit(NewEvent(kind, task.id, payload, task.project_id, task.id, task.came_by))
    return moved


Event = tuple[str, dict[str, Any]] | None
Kept = tuple[Event, dict[str, Any] | None]
"""The event that a report leads to, and what it changes of the move; mostly nothing."""


def _planned(tx: Tx, task: Task, said: Said) -> Kept:
    put_paper(tx, task.id, ANALYSIS, {**said.report, "by": said.agent_id})
    if said.report["decision"] == "audit":
        about = said.report["audit_about"]
        put_paper(tx, task.id, ABOUT, {"about": about})
        return (AUDIT, {"about": about, "by": said.agent_id}), None
    summary = said.report["analysis"][:500]
    steps = [one["title"] for one in said.report["plan"]]
    return (PLANNED, {"tasks": [], "by": said.agent_id, "summary": summary, "steps": steps}), None


def _reviewed(tx: Tx, task: Task, said: Said) -> Kept:
    pull, book = pull_of(tx, task.id), book_of(tx, task)
    head = pull.head if pull else task.result_commit
    kept = paper_of(tx, task.id, REVIEWS) or {"items": []}
    mine = {**said.report, "agent": said.agent_id, "by": said.by, "head": head}
    mine["at"], mine["round"] = tx.now, task.rounds
    items = [*kept["items"], mine]
    put_paper(tx, task.id, REVIEWS, {"items": items})
    of_this = [one for one in items if one["head"] == head and one["round"] == task.rounds]
    opinions = {one["verdict"] for one in of_this}
    payload = {
        "number": pull.number if pull else None,
        "head": head,
        "by": said.agent_id,
        "summary": said.report["summary"][:500],
        "comments": len(said.report["comments"]),
    }
    if len(of_this) < (book.reviewers if book else 1):
        return (REVIEWED, {**payload, "opinion": said.report["verdict"]}), None
    if len(opinions) > 1:
        return None, _disagreement(task, of_this)
    return (APPROVED if "approve" in opinions else CHANGES, payload), None


def _disagreement(task: Task, reviews: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What of the move makes a person decide between reviewers."""
    kind = BreakpointKind.EVIDENCE
    said = [f"{one['by']}: {one['verdict']}: {one['summary'][:300]}" for one in reviews]
    question = f"The reviewers of {task.label} disagree. Merge it?"
    ask = NewBreakpoint(
        kind,
        question,
        tuple(map(str, OPTIONS[kind])),
        {"reasons": said, "reviews": [dict(one) for one in reviews]},
    )
    wanted = [one for one in reviews if one["verdict"] == "request_changes"]
    notes = [{name: one[name] for name in ("by", "summary", "comments")} for one in wanted]
    columns = {"step": str(Act.MERGE), "feedback": {"reviews": notes}}
    return {"to": Stage.WAITING, "ask": ask, "reason": "its reviewers disagree", "columns": columns}


def _deployed(tx: Tx, task: Task, said: Said) -> Kept:
    put_paper(tx, task.id, DEPLOYMENT, {**said.report, "by": said.agent_id, "at": tx.now})
    names = ("commit", "version", "environment", "url", "notes")
    record = {name: said.report[name] for name in names} | {"by": said.agent_id}
    return (DEPLOYED if said.report["deployed"] else NOT_DEPLOYED, record), None


def _verified(_tx: Tx, _task: Task, said: Said) -> Kept:
    payload = {
        "checks": said.report["checks"],
        "summary": said.report["summary"][:2000],
        "by": said.agent_id,
    }
    return (VERIFIED if said.report["passed"] else NOT_VERIFIED, payload), None


def _audited(tx: Tx, task: Task, said: Said) -> Kept:
    """Every issue becomes a task that a person says go to."""
    made = [_proposed(tx, task, issue).label for issue in said.report["issues"]]
    failpoint("report.proposed")
    summary = said.report["summary"][:2000]
    return (AUDITED, {"tasks": made, "summary": summary, "by": said.agent_id}), None


def _proposed(tx: Tx, task: Task, issue: Mapping[str, Any]) -> Task:
    new = comes_of(
        task,
        task.came_by,
        title=issue["title"],
        description=issue["description"],
        type=TaskType(issue["type"]),
        priority=task.priority + _PRIORITY[issue["severity"]],
        stage=Stage.PROPOSED,
    )
    return made_of(tx, task, new, asked=True)


_KEPT = {
    Role.STARTER: _planned,
    Role.REVIEWER: _reviewed,
    Role.DEPLOYER: _deployed,
    Role.VERIFIER: _verified,
    Role.AUDITOR: _audited,
}
REPORTING = frozenset(_KEPT)
"""Roles whose step is worth their report, and not their files."""
