"""Verbs about locks: paths of a project that one agent asks the others to leave alone.

A lock is held only while its agent's attempt is under way and its time is not over: nothing has to
clean up after an agent that died.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from muster.domain.agent import LIVE, Agent
from muster.domain.errors import Conflict
from muster.domain.event import NewEvent
from muster.domain.task import HOLDS_A_SLOT
from muster.store.base import Tx
from muster.store.schema import agents, locks, tasks

MOST_PER_AGENT = 500


@dataclass(frozen=True, slots=True)
class Lock:
    """One held path; it covers everything below it. `until` is epoch milliseconds."""

    path: str
    agent_id: str
    task_id: str
    until: int


def held(tx: Tx, project_id: str) -> list[Lock]:
    """The locks of a project that count now, by path."""
    rows = tx.conn.execute(
        select(locks.c.path, locks.c.agent_id, agents.c.task_id, locks.c.until)
        .join(agents, agents.c.id == locks.c.agent_id)
        .join(tasks, tasks.c.id == agents.c.task_id)
        .where(
            locks.c.project_id == project_id,
            locks.c.until > tx.now,
            agents.c.status.in_([str(s) for s in LIVE]),
            tasks.c.attempt == agents.c.attempt,
            tasks.c.stage.in_([str(s) for s in HOLDS_A_SLOT]),
        )
        .order_by(locks.c.path)
    )
    return [_lock(row) for row in rows]


def _lock(row: Any) -> Lock:
    return Lock(row.path, row.agent_id, row.task_id, row.until)


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies below the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def covers(lock: Lock, path: str) -> bool:
    """Whether a file is the locked path, or lies below it."""
    return path == lock.path or path.startswith(f"{lock.path}/")


def take(tx: Tx, agent: Agent, paths: Sequence[str], until: int) -> list[Lock]:
    """Lock all of these paths for an agent, or none; a path it holds already is held longer.

    Raises:
        Conflict: another agent holds one of them, or this one would hold too many.
    """
    now = held(tx, agent.project_id)
    others = [lock for lock in now if lock.agent_id != agent.id]
    taken = [lock for lock in others if any(overlap(lock.path, path) for path in paths)]
    if taken:
        raise Conflict(
            f"'{taken[0].path}' is locked by {taken[0].agent_id}; nothing was locked",
            hint="work on something else first, or try again later",
            locked=[{"path": lock.path, "agent_id": lock.agent_id} for lock in taken[:50]],
        )
    own = {lock.path for lock in now if lock.agent_id == agent.id}
    if len(own | set(paths)) > MOST_PER_AGENT:
        raise Conflict(
            f"an agent may hold {MOST_PER_AGENT} locks at most; nothing was locked",
            hint="lock folders instead of single files, or release what you no longer need",
        )
    rev = tx.emit(_event("lock.taken", agent, paths))
    # A row that counts no longer may still stand under one of these paths.
    tx.conn.execute(
        delete(locks).where(locks.c.project_id == agent.project_id, locks.c.path.in_(paths))
    )
    tx.conn.execute(
        insert(locks),
        [
            {
                "project_id": agent.project_id,
                "path": path,
                "agent_id": agent.id,
                "until": until,
                "rev": rev,
            }
            for path in paths
        ],
    )
    return [lock for lock in held(tx, agent.project_id) if lock.agent_id == agent.id]


def release(tx: Tx, agent: Agent, paths: Sequence[str] | None) -> list[str]:
    """Let go of these paths, or of all with None; those that were held."""
    mine = [locks.c.agent_id == agent.id]
    if paths is not None:
        mine.append(locks.c.path.in_(paths))
    found = list(
        tx.conn.execute(select(locks.c.path).where(*mine).order_by(locks.c.path)).scalars()
    )
    if found:
        tx.emit(_event("lock.released", agent, found))
        tx.conn.execute(delete(locks).where(*mine))
    return found


def _event(kind: str, agent: Agent, paths: Sequence[str]) -> NewEvent:
    return NewEvent(kind, agent.id, {"paths": list(paths)}, agent.project_id, agent.task_id)
