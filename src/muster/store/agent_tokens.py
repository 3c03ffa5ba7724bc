"""Verbs about the tokens that open an agent's own task, and nothing else, to the agent."""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam, delete, insert, select

from muster.domain.agent import LIVE, Agent
from muster.domain.errors import Stale
from muster.domain.task import HOLDS_A_SLOT, Task
from muster.store.agents import get_agent, refuse_stale
from muster.store.base import Tx
from muster.store.schema import agent_tokens
from muster.store.tasks import get_task

_FORGET = delete(agent_tokens).where(agent_tokens.c.agent_id == bindparam("of_agent"))
_KEEP = insert(agent_tokens)


def digest_of(token: str) -> str:
    """What is stored of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def admit(tx: Tx, task: Task, agent_id: str, token: str) -> None:
    """Let a fresh token open an attempt's task; the one its agent had before opens nothing more.

    Raises:
        Stale: the attempt is no longer held by this claim.
    """
    refuse_stale(tx, task)
    kept = {"digest": digest_of(token), "agent_id": agent_id, "created_at": tx.now}
    tx.conn.execute(_FORGET, {"of_agent": agent_id})
    tx.conn.execute(_KEEP, kept)


def agent_at_work(tx: Tx, agent_id: str) -> tuple[Agent, Task]:
    """An agent with its task, as long as its attempt is under way.

    Raises:
        Stale: the attempt has ended; what its agent still says is not heard.
    """
    agent = get_agent(tx, agent_id)
    task = get_task(tx, agent.task_id)
    working = agent.status in LIVE and task.stage in HOLDS_A_SLOT
    if not working or task.attempt != agent.attempt:
        raise Stale(
            f"attempt {agent.attempt} of {task.label} is over, and so is what {agent_id} may do",
            hint="end now; nothing more is taken from this attempt",
        )
    return agent, task


def agent_of_token(tx: Tx, token: str) -> str | None:
    """The id of the agent that a token belongs to while its attempt is under way, else None."""
    found = tx.conn.execute(
        select(agent_tokens.c.agent_id).where(agent_tokens.c.digest == digest_of(token))
    ).scalar_one_or_none()
    if found is None:
        return None
    try:
        agent_at_work(tx, found)
    except Stale:
        return None
    return str(found)
