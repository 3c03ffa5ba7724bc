"""Verbs about what agents ask leave for: each request is put once, and answered once.

A request that waits for a person is a breakpoint of its task; its evidence names the agent and the
request. What a rule answered is an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.domain.event import NewEvent
from muster.domain.task import Task
from muster.domain.verdict import Breakpoint, BreakpointKind
from muster.store import events, judgements
from muster.store.agents import refuse_stale, update_agent
from muster.store.base import Tx
from muster.store.checkpoints import NewCheckpoint, add_checkpoint
from muster.store.judgements import NewBreakpoint

RULED = "permission.ruled"


def put(tx: Tx, task: Task, new: NewBreakpoint) -> None:
    """Ask a person about a request.

    Raises:
        Stale: the attempt is no longer the task's current one.
    """
    refuse_stale(tx, task)
    judgements.raise_breakpoint(tx, task, new)


def rule(tx: Tx, task: Task, agent_id: str, payload: Mapping[str, Any]) -> None:
    """Keep what a rule answered.

    Raises:
        Stale: the attempt is no longer the task's current one.
    """
    event = NewEvent(RULED, agent_id, payload, task.project_id, task.id)
    update_agent(tx, task, agent_id, {}, (event,))


def keep(tx: Tx, task: Task, new: NewCheckpoint) -> None:
    """Keep the work as it is before what was allowed is done.

    Raises:
        Stale: the attempt is no longer the task's current one.
    """
    refuse_stale(tx, task)
    add_checkpoint(tx, task, new)


def of_agent(tx: Tx, task_id: str, agent_id: str) -> dict[str, Breakpoint]:
    """What this agent asked of a person, open or not, by request."""
    asked = judgements.list_breakpoints(tx, open_only=False, task_id=task_id, limit=100_000)
    return {
        str(item.evidence["request"]): item
        for item in asked
        if item.kind is BreakpointKind.PERMISSION and item.evidence.get("agent") == agent_id
    }


def waited(tx: Tx, task_id: str, agent_id: str) -> int:
    """The milliseconds in which this agent waited for a person; times that overlap count once."""
    asked = of_agent(tx, task_id, agent_id).values()
    total = end = 0
    for begin, until in sorted((item.created_at, item.resolved_at or tx.now) for item in asked):
        total += max(0, until - max(begin, end))
        end = max(end, until)
    return total


def ruled(tx: Tx, task_id: str, agent_id: str) -> dict[str, Mapping[str, Any]]:
    """What rules answered this agent, by request."""
    found = events.events_after(tx, 0, kind=RULED, task_id=task_id, limit=100_000)
    return {str(e.payload["request"]): e.payload for e in found if e.subject == agent_id}


def give_up(tx: Tx, task: Task, agent_id: str, request: str) -> None:
    """Close a request that its agent no longer waits for."""
    item = of_agent(tx, task.id, agent_id).get(request)
    if item is not None and item.open:
        judgements.answer_question(tx, item, "deny", "the agent gave it up", None)
