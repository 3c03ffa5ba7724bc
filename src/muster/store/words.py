"""Verbs about what people tell an agent at work: a queue for each agent, said in its order."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, insert, select, update

from muster.domain.agent import Agent
from muster.domain.event import NewEvent
from muster.domain.task import Task
from muster.store.agents import update_agent
from muster.store.base import Tx
from muster.store.schema import agent_words, agents

_NEW = insert(agent_words)
_LAST = select(func.coalesce(func.max(agent_words.c.n), 0)).where(
    agent_words.c.agent_id == bindparam("of_agent")
)
_DUE = (
    select(agent_words.c.n, agent_words.c.text, agent_words.c.by)
    .where(agent_words.c.agent_id == bindparam("of_agent"), agent_words.c.said_at.is_(None))
    .order_by(agent_words.c.n)
)
_SAID = update(agent_words).where(
    agent_words.c.agent_id == bindparam("of_agent"), agent_words.c.n == bindparam("number")
)


@dataclass(frozen=True, slots=True)
class Word:
    """Something to be said to an agent; `n` counts from 1 for each agent."""

    n: int
    text: str
    by: str


def tell(tx: Tx, agent: Agent, text: str, by: str) -> int:
    """Queue a word for an agent; its number."""
    n = int(tx.conn.execute(_LAST, {"of_agent": agent.id}).scalar_one()) + 1
    kept = {"agent_id": agent.id, "n": n, "text": text, "by": by, "created_at": tx.now}
    tx.conn.execute(_NEW, {**kept, "said_at": None})
    payload = {"n": n, "text": text, "by": by}
    tx.emit(NewEvent("agent.told", agent.id, payload, agent.project_id, agent.task_id))
    return n


def due(tx: Tx, agent_id: str) -> list[Word]:
    """What was not said yet, in order."""
    return [Word(*row) for row in tx.conn.execute(_DUE, {"of_agent": agent_id})]


def said(tx: Tx, task: Task, agent_id: str, n: int) -> None:
    """Keep that a word was said.

    Raises:
        Stale: the attempt is no longer the task's current one.
    """
    event = NewEvent("agent.heard", agent_id, {"n": n}, task.project_id, task.id)
    update_agent(tx, task, agent_id, {}, (event,))
    tx.conn.execute(_SAID, {"of_agent": agent_id, "number": n, "said_at": tx.now})


def stop_hearing(tx: Tx, task: Task, agent_id: str, *, whatever_waits: bool = False) -> bool:
    """Take no more words for an agent; False, and nothing is changed, while some are to be said.

    Raises:
        Stale: the attempt is no longer the task's current one.
    """
    if due(tx, agent_id) and not whatever_waits:
        return False
    update_agent(tx, task, agent_id, {"hears": 0})
    return True


def pass_on(tx: Tx, agent: Agent) -> None:
    """Queue for a new agent what those of earlier attempts at its task did not hear."""
    others = select(agents.c.id).where(agents.c.task_id == agent.task_id, agents.c.id != agent.id)
    for other in tx.conn.execute(others.order_by(agents.c.attempt)).scalars().all():
        for word in due(tx, other):
            tx.conn.execute(_SAID, {"of_agent": other, "number": word.n, "said_at": tx.now})
            tell(tx, agent, word.text, word.by)
