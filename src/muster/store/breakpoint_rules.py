"""Verbs about rules of breakpoints that held: each is told once for its cause."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from muster.domain.event import NewEvent
from muster.domain.task import Task
from muster.store import events
from muster.store.agents import update_agent
from muster.store.base import Tx
from muster.store.schema import events as events_table

HELD = "rule.held"
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Told:
    """That a rule held: what was said, and the agent whose run it stopped, if it did."""

    sentence: str
    stopped: str
    payload: Mapping[str, Any]


def tell(tx: Tx, task: Task, agent_id: str, payload: Mapping[str, Any]) -> None:
    """Keep that a rule held.

    Raises:
        Stale: the attempt is no longer the task's current one.
    """
    update_agent(tx, task, agent_id, {}, (event_of(task, agent_id, payload),))


def event_of(task: Task, agent_id: str, payload: Mapping[str, Any]) -> NewEvent:
    """The event that tells of it, for a transaction that does more."""
    return NewEvent(HELD, agent_id, payload, task.project_id, task.id)


def told_of_task(tx: Tx, task_id: str) -> dict[str, Told]:
    """What was told about a task, by cause."""
    found = events.events_after(tx, 0, kind=HELD, task_id=task_id, limit=_MOST)
    return {
        str(e.payload["cause"]): Told(str(e.payload["text"]), str(e.payload["stopped"]), e.payload)
        for e in found
    }


def count_events(tx: Tx, task_id: str, kinds: Collection[str]) -> dict[str, int]:
    """How many events of each of these kinds are about a task."""
    table = events_table
    query = (
        select(table.c.type, func.count())
        .where(table.c.task_id == task_id, table.c.type.in_(sorted(kinds)))
        .group_by(table.c.type)
    )
    return dict(tx.conn.execute(query).all())
