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
AT_VERDICT = "verdict"
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


@dataclass(frozen=True, slots=True)
class Holding:
    """That a rule held: in which agent's attempt, for which cause, and when."""

    rev: int
    agent_id: str
    rule: str
    cause: str
    at_verdict: bool


def held_of_tasks(tx: Tx, ids: Collection[str]) -> dict[str, list[Holding]]:
    """Which rules held for each of these tasks, oldest first."""
    table = events_table.c
    query = select(table.task_id, table.rev, table.subject, table.payload)
    query = query.where(table.type == HELD, table.task_id.in_(sorted(ids))).order_by(table.rev)
    found: dict[str, list[Holding]] = {}
    for task_id, rev, agent_id, said in tx.conn.execute(query):
        own = found.setdefault(task_id, [])
        own.append(Holding(rev, agent_id, said["rule"], said["cause"], said["at"] == AT_VERDICT))
    return found


def held_at_work(tx: Tx, project_id: str) -> dict[str, int]:
    """How often each rule held while an agent worked on a project's tasks."""
    table = events_table.c
    name = table.payload["rule"].as_string()
    query = select(name, func.count()).where(table.type == HELD, table.project_id == project_id)
    query = query.where(table.payload["at"].as_string() != AT_VERDICT).group_by(name)
    return dict(tx.conn.execute(query).all())


def count_events(tx: Tx, task_id: str, kinds: Collection[str], up_to: int) -> dict[str, int]:
    """How many events of each of these kinds are about a task, of those up to a number."""
    table = events_table
    query = (
        select(table.c.type, func.count())
        .where(table.c.task_id == task_id, table.c.type.in_(sorted(kinds)), table.c.rev <= up_to)
        .group_by(table.c.type)
    )
    return dict(tx.conn.execute(query).all())
