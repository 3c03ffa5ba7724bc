"""Shapes: how the domain's values look to the doors, as JSON-like dicts (`docs/api.md`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from muster.domain.aftermath import Aftermath
from muster.domain.agent import Agent
from muster.domain.event import Event
from muster.domain.project import ProjectSettings
from muster.domain.queue import QueueSettings
from muster.domain.task import Task
from muster.domain.verdict import Breakpoint, Checkpoint, Severity, Verdict
from muster.service.crew_trail import crew_line
from muster.store.projects import ProjectRow
from muster.store.rows import decision_json, finding_json

MOST_WORDS = 2000
"""Characters of a description that a list shows; the task itself has it whole."""


def moment(milliseconds: int | None) -> str | None:
    """Epoch milliseconds as RFC 3339 in UTC."""
    if milliseconds is None:
        return None
    stamp = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Around:
    """What a task is shown with besides its own row."""

    project: str
    max_attempts: int
    autonomy: str
    labels: dict[str, str]
    cost: tuple[float, int, int]
    live: Agent | None
    breakpoint_id: str | None
    size: dict[str, int]


def task_shape(task: Task, around: Around) -> dict[str, Any]:
    """A task for lists."""
    cost, tokens_in, tokens_out = around.cost
    return {
        "id": task.id,
        "label": task.label,
        "number": task.number,
        "project_id": task.project_id,
        "project": around.project,
        "title": task.title,
        "description": task.description[:MOST_WORDS],
        "type": str(task.type),
        "priority": task.priority,
        "status": str(task.status),
        "stage": str(task.stage),
        "reason": task.reason,
        "autonomy": str(task.autonomy) if task.autonomy else around.autonomy,
        "agent": task.agent,
        "runtime": task.runtime,
        "playbook": task.playbook,
        "model": task.model,
        "budget_usd": task.budget_usd,
        "timeout_minutes": task.timeout_minutes,
        "attempt": task.attempt,
        "tries": task.tries,
        "max_attempts": around.max_attempts,
        "needs": list(task.needs),
        "needs_labels": [around.labels.get(n, n) for n in task.needs],
        "branch": task.branch,
        "base_commit": task.base_commit,
        "result_commit": task.result_commit,
        "merged_commit": task.merged_commit,
        "cost_usd": round(cost, 6),
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "paths": list(task.paths),
        "wish": task.wish,
        "parent_id": task.parent_id,
        "errand": task.errand,
        "acceptance_id": task.acceptance_id,
        "step": task.step,
        "rounds": task.rounds,
        "cause_id": task.cause_id,
        "fork_of": task.fork_of,
        "fork_point": task.fork_point,
        "image": task.image,
        "list_position": task.list_position,
        "added": around.size.get("added"),
        "removed": around.size.get("removed"),
        "files_changed": around.size.get("files"),
        "live_agent": agent_shape(around.live, task.label) if around.live else None,
        "breakpoint_id": around.breakpoint_id,
        "due_at": moment(task.due_at),
        "created_at": moment(task.created_at),
        "updated_at": moment(task.updated_at),
        "started_at": moment(task.started_at),
        "finished_at": moment(task.finished_at),
        "rev": task.rev,
    }


def agent_shape(agent: Agent, label: str) -> dict[str, Any]:
    """An agent."""
    return {
        "id": agent.id,
        "task_id": agent.task_id,
        "task_label": label,
        "project_id": agent.project_id,
        "attempt": agent.attempt,
        "role": str(agent.role),
        "driver": agent.driver,
        "runtime": agent.runtime,
        "status": str(agent.status),
        "outcome": str(agent.outcome) if agent.outcome else None,
        "reason": agent.reason,
        "exit_code": agent.exit_code,
        "input_tokens": agent.usage.input_tokens,
        "output_tokens": agent.usage.output_tokens,
        "cost_usd": round(agent.usage.cost_usd, 6),
        "cpu_seconds": round(agent.cpu_seconds, 3),
        "max_rss_bytes": agent.max_rss_bytes,
        "session_id": agent.session_id,
        "workspace": agent.workspace,
        "last_line": agent.last_line,
        "result": dict(agent.result) if agent.result is not None else None,
        "permissions": str(agent.permissions),
        "hears": agent.hears,
        "created_at": moment(agent.created_at),
        "started_at": moment(agent.started_at),
        "ended_at": moment(agent.ended_at),
        "rev": agent.rev,
    }


_OF_A_DECISION = ("step", "reasons", "question", "kind", "options", "agent", "commit")


def verdict_shape(verdict: Verdict) -> dict[str, Any]:
    """A verdict with its findings and its decision."""
    decision = decision_json(verdict.decision)
    return {
        "id": verdict.id,
        "task_id": verdict.task_id,
        "attempt": verdict.attempt,
        "agent_id": verdict.agent_id,
        "passed": verdict.passed,
        "confidence": verdict.confidence,
        "sure": verdict.sure.as_json() if verdict.sure else None,
        "findings": [finding_json(f) for f in verdict.findings],
        "decision": {k: decision[k] for k in _OF_A_DECISION},
        "created_at": moment(verdict.created_at),
    }


def outcome_shape(item: Aftermath) -> dict[str, Any]:
    """What became of a judged attempt."""
    return {
        **asdict(item),
        "shown": str(item.shown),
        "created_at": moment(item.created_at),
    }


def breakpoint_shape(item: Breakpoint, task: Task, holds_back: int) -> dict[str, Any]:
    """A question with what it holds back."""
    return {
        "id": item.id,
        "task_id": item.task_id,
        "task_label": task.label,
        "task_title": task.title,
        "project_id": item.project_id,
        "kind": str(item.kind),
        "question": item.question,
        "options": list(item.options),
        "evidence": dict(item.evidence),
        "holds_back": holds_back,
        "open": item.open,
        "answer": item.answer,
        "note": item.note,
        "by": item.by,
        "created_at": moment(item.created_at),
        "resolved_at": moment(item.resolved_at),
        "rev": item.rev,
    }


def checkpoint_shape(item: Checkpoint) -> dict[str, Any]:
    """A restorable point."""
    return {**asdict(item), "created_at": moment(item.created_at)}


def event_shape(event: Event) -> dict[str, Any]:
    """An event."""
    return {
        "rev": event.rev,
        "time": moment(event.time),
        "type": event.type,
        "subject": event.subject,
        "payload": dict(event.payload),
        "project_id": event.project_id,
        "task_id": event.task_id,
        "cause": event.cause,
        "processed_at": moment(event.processed_at),
    }


def queue_shape(settings: QueueSettings, processor: bool) -> dict[str, Any]:
    """What holds work back; without a `processor` this server starts nothing."""
    return {
        "paused": settings.paused,
        "stop_on_failure": settings.stop_on_failure,
        "max_concurrent": settings.max_concurrent,
        "stopped_by": settings.stopped_by,
        "processor": processor,
    }


def stopped_shape(task: Task, waiting: int) -> dict[str, Any]:
    """The task whose failure stops the list, and how many on the list wait for that to end."""
    return {
        "task_id": task.id,
        "task_label": task.label,
        "task_title": task.title,
        "project_id": task.project_id,
        "why": task.reason,
        "since": moment(task.finished_at),
        "holds_back": waiting,
    }


def project_shape(
    project: ProjectRow, settings: ProjectSettings, sources: dict[str, str]
) -> dict[str, Any]:
    """A project with its settings and where each came from."""
    values = asdict(settings)
    return {
        "id": project.id,
        "name": project.name,
        "git_dir": project.git_dir,
        "work_tree": project.work_tree,
        "branch": project.branch,
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()},
        "sources": sources,
        "created_at": moment(project.created_at),
        "rev": project.rev,
    }


_STATE = {
    Severity.OK: "ok",
    Severity.NOTE: "note",
    Severity.ASK: "wait",
    Severity.ABSTAIN: "wait",
    Severity.VETO: "fail",
}


def trail_shape(event: Event) -> dict[str, Any] | None:
    """An event as one line of the decision trail; None for events that do not belong there."""
    if (line := crew_line(event)) is not None:
        return _footprint(event, *line)
    told = _TOLD.get(event.type)
    if told is None:
        return None
    state, words = told
    payload = event.payload
    text = words.format_map(_Words(payload))
    if check := payload.get("check"):
        text = f"In the check {check}: {text}"
    if event.type == "verdict.reached":
        state, text = _verdict_words(payload)
    if event.type == "task.changed" and "priority" in payload:
        text = f"Priority {payload['priority']}"
    if event.type == "outcome.recorded":
        state = "ok" if payload.get("right") else "fail"
        text = f"Was {'right' if payload.get('right') else 'wrong'}: {payload.get('why', '')}"
    if event.type == "agent.ended" and payload.get("outcome") != "completed":
        state = "fail"
    return _footprint(event, state, text)


def _footprint(event: Event, state: str, text: str) -> dict[str, Any]:
    return {
        "rev": event.rev,
        "time": moment(event.time),
        "type": event.type,
        "text": text.strip(" :"),
        "state": state,
    }


class _Words(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""

    def __init__(self, payload: Any) -> None:
        super().__init__(
            {k: ", ".join(map(str, v)) if isinstance(v, list) else v for k, v in payload.items()}
        )


def _verdict_words(payload: Any) -> tuple[str, str]:
    findings = payload.get("findings", [])
    refused = [f["text"] for f in findings if f["severity"] in {"veto", "abstain", "ask"}]
    if refused:
        return "fail" if not payload.get("passed") else "wait", "; ".join(refused)
    good = [f["text"] for f in findings if f["severity"] == "ok"]
    return "ok", "; ".join(good) or "nothing speaks against it"


_TOLD = {
    "task.created": ("note", "Accepted: {title}"),
    "task.approved": ("ok", "Approved by {by}"),
    "task.blocked": ("wait", "Waits for other tasks"),
    "task.queued": ("note", "Queued: {reason}"),
    "task.planning": ("note", "Being planned"),
    "task.plan.asked": ("note", "Asked {model} for a plan"),
    "task.plan.created": ("ok", "Planned {tasks} (by {by}): {summary}"),
    "task.held": (
        "wait",
        "Waits its turn: no more than {most} of its manager's workers run at a time",
    ),
    "task.changed": ("note", "May cost ${budget_usd}"),
    "task.wished": ("wait", "A person asked to {wish}"),
    "agent.starting": ("note", "Attempt {attempt} given to {driver} ({runtime})"),
    "prompt.cut": ("note", "The prompt was cut: {parts}"),
    "workspace.opened": ("note", "Workspace made ({backend}) at {commit}"),
    "mailbox.refused": ("fail", "Not taken from the mailbox: {file}. {why}"),
    "containment.tried": ("wait", "{text}"),
    "network.refused": ("fail", "Not reached: {host} {port}. {why}"),
    "access.refused": ("note", "Kept from {what}: {why}"),
    "settings.untrusted": (
        "wait",
        "{file} has changed since it was trusted; {settings}: as before. To trust it: "
        "muster init {path}",
    ),
    "limit.reached": ("fail", "Limit of {limit}: {text}"),
    "agent.told": ("note", "{by} told the agent: {text}"),
    "agent.said": ("note", "{text}"),
    "agent.spawned": ("note", "Spawned by the manager of {for} as {worker}"),
    "rule.held": ("wait", "{text}"),
    "rules.refused": ("fail", "{file} is not used: {faults}"),
    "approval.refused": ("fail", "{by} may not {act}: the role {roles} is needed"),
    "permission.ruled": ("note", "By rule ({by}): {answer} {summary}"),
    "lock.kept": ("wait", "Kept from {path}, which {by} has locked"),
    "agent.ended": ("ok", "Agent ended: {outcome} {reason}"),
    "verdict.reached": ("ok", ""),
    "outcome.recorded": ("note", ""),
    "decision.made": ("note", "Decision: {step}. {reasons}"),
    "breakpoint.raised": ("wait", "Waits for a person: {question}"),
    "breakpoint.resolved": ("ok", "Answered {answer} by {by} {note}"),
    "checkpoint.taken": ("note", "Checkpoint {n}: {label}"),
    "checkpoint.restored": ("note", "Put back to checkpoint {n} {why}"),
    "merge.landed": ("ok", "Merged into {branch} at {commit}"),
    "task.completed": ("ok", "Completed: {reason}"),
    "task.failed": ("fail", "Failed: {reason}"),
    "task.cancelled": ("fail", "Cancelled: {reason}"),
}
