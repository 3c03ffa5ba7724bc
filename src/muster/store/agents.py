"""Verbs about agents: one row per attempt's program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from muster.domain.agent import LIVE, STATUS_AFTER, Agent, AgentStatus, Outcome, Role, Usage
from muster.domain.errors import NotFound, Stale
from muster.domain.event import NewEvent
from muster.domain.permission import Permissions
from muster.domain.task import Task
from muster.store.base import Tx
from muster.store.rows import agent_of
from muster.store.schema import agents, tasks

_LIVE = [str(s) for s in LIVE]
_NEW = insert(agents).returning(agents)
_BY_ID = select(agents).where(agents.c.id == bindparam("ref"))
_OF_ATTEMPT = select(agents).where(
    agents.c.task_id == bindparam("of_task"), agents.c.attempt == bindparam("of_attempt")
)
_HELD = select(tasks.c.attempt).where(
    tasks.c.id == bindparam("of_task"), tasks.c.token == bindparam("held_by")
)
_CHANGE = update(agents).where(agents.c.id == bindparam("ref"))
_TOUCH = update(tasks).where(tasks.c.id == bindparam("ref"))
_LIVE_OF = select(agents).where(
    agents.c.task_id.in_(bindparam("ids", expanding=True)), agents.c.status.in_(_LIVE)
)


@dataclass(frozen=True, slots=True)
class NewAgent:
    """What a spawned agent is; `id` is given by the engine, so that a retry names the same run.

    `two_way`: it will be spoken with while it works.
    """

    id: str
    role: Role
    driver: str
    runtime: str
    permissions: Permissions = Permissions.BYPASS
    two_way: bool = False


def start_agent(tx: Tx, task: Task, new: NewAgent) -> Agent:
    """Record the one agent of a task's attempt; the same call again gives the same agent.

    Raises:
        Stale: the attempt is no longer the task's current one.
    """
    refuse_stale(tx, task)
    known = tx.conn.execute(_OF_ATTEMPT, {"of_task": task.id, "of_attempt": task.attempt})
    same = next((row for row in known if row.role == str(new.role)), None)
    if same is not None:
        return agent_of(same)
    rev = tx.emit(
        NewEvent(
            "agent.starting",
            new.id,
            {"driver": new.driver, "runtime": new.runtime, "attempt": task.attempt},
            task.project_id,
            task.id,
        )
    )
    made = tx.conn.execute(
        _NEW,
        {
            "id": new.id,
            "task_id": task.id,
            "project_id": task.project_id,
            "attempt": task.attempt,
            "role": str(new.role),
            "driver": new.driver,
            "runtime": new.runtime,
            "status": str(AgentStatus.STARTING),
            "rev": rev,
            "created_at": tx.now,
            "reason": "",
            "input_tokens": 0,
            "output_tokens": 0,
            "cost_usd": 0.0,
            "cpu_seconds": 0.0,
            "max_rss_bytes": 0,
            "last_line": "",
            "permissions": str(new.permissions),
            "hears": 1 if new.two_way else None,
        },
    )
    return agent_of(made.one())


def refuse_stale(tx: Tx, task: Task) -> None:
    """Raise `Stale` if the attempt is no longer held by the claim that `task` was read under."""
    believed = {"of_task": task.id, "held_by": task.token}
    held = tx.conn.execute(_HELD, believed).scalar_one_or_none()
    if held != task.attempt or not task.token:
        raise Stale(
            f"attempt {task.attempt} of {task.label} is no longer held by this claim",
            hint="read the task again; somebody else moved it",
        )


def update_agent(
    tx: Tx, task: Task, agent_id: str, columns: Mapping[str, Any], events: Sequence[NewEvent] = ()
) -> None:
    """Set columns of an attempt's agent, fenced by the task's token.

    Raises:
        Stale: the attempt is no longer the task's current one.
    """
    refuse_stale(tx, task)
    rev = 0
    for event in events:
        rev = tx.emit(event)
    values = dict(columns)
    if rev:
        values["rev"] = rev
    if values:
        tx.conn.execute(_CHANGE, {**values, "ref": agent_id})


def report(
    tx: Tx,
    task: Task,
    agent_id: str,
    columns: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
) -> None:
    """What the agent does now (live line, cost so far); one event carries it to all who follow.

    `more` is carried by the event alone.
    """
    refuse_stale(tx, task)
    shown = {k: v for k, v in columns.items() if k in {"last_line", "cost_usd"}}
    shown |= more or {}
    rev = tx.emit(NewEvent("agent.fact", agent_id, shown, task.project_id, task.id))
    tx.conn.execute(_CHANGE, {**columns, "rev": rev, "ref": agent_id})
    tx.conn.execute(_TOUCH, {"rev": rev, "ref": task.id})


def hand_in(tx: Tx, task: Task, agent_id: str, result: Mapping[str, Any]) -> None:
    """Keep what an agent says of its outcome (`Telling.result`); a later result replaces it."""
    told = {"status": result["status"], "summary": result["summary"][:500]}
    event = NewEvent("agent.result", agent_id, told, task.project_id, task.id)
    update_agent(tx, task, agent_id, {"result": result}, (event,))


def get_agent(tx: Tx, agent_id: str) -> Agent:
    """An agent by id.

    Raises:
        NotFound: there is no such agent.
    """
    row = tx.conn.execute(_BY_ID, {"ref": agent_id}).first()
    if row is None:
        raise NotFound(
            f"there is no agent '{agent_id}'", hint="muster agent list shows what there is"
        )
    return agent_of(row)


def agent_of_attempt(tx: Tx, task_id: str, attempt: int) -> Agent | None:
    """The agent that was given a run id for this attempt, if any."""
    row = tx.conn.execute(_OF_ATTEMPT, {"of_task": task_id, "of_attempt": attempt}).first()
    return agent_of(row) if row is not None else None


def list_agents(
    tx: Tx,
    *,
    task_id: str | None = None,
    live_only: bool = False,
    status: str | None = None,
    after: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[Agent]:
    """Agents, newest first; `after` is (created_at, id) of the last one of the page before."""
    query = select(agents).order_by(agents.c.created_at.desc(), agents.c.id.desc()).limit(limit)
    if task_id:
        query = query.where(agents.c.task_id == task_id)
    if live_only:
        query = query.where(agents.c.status.in_(_LIVE))
    if status:
        query = query.where(agents.c.status == status)
    if after:
        created, last = after
        query = query.where(
            (agents.c.created_at < created)
            | ((agents.c.created_at == created) & (agents.c.id < last))
        )
    return [agent_of(row) for row in tx.conn.execute(query)]


def is_of_another_task(tx: Tx, task_id: str, session_id: str) -> bool:
    """Whether an agent of another task has that session."""
    theirs = (agents.c.session_id == session_id) & (agents.c.task_id != task_id)
    return tx.conn.execute(select(agents.c.id).where(theirs).limit(1)).first() is not None


def was_used(tx: Tx, runtime: str) -> bool:
    """Whether any agent was given to this place."""
    query = select(agents.c.id).where(agents.c.runtime == runtime).limit(1)
    return tx.conn.execute(query).first() is not None


def live_by_task(tx: Tx, ids: Sequence[str]) -> dict[str, Agent]:
    """For each of the tasks, the agent that is alive for it."""
    if not ids:
        return {}
    rows = tx.conn.execute(_LIVE_OF, {"ids": ids})
    return {row.task_id: agent_of(row) for row in rows}


@dataclass(frozen=True, slots=True)
class EndedAgent:
    """How an agent ended, for the transaction that moves its task on."""

    id: str
    outcome: Outcome
    reason: str
    exit_code: int | None
    cpu_seconds: float
    max_rss_bytes: int
    usage: Usage
    left: int = 0
    session_id: str | None = None


def end_agent(tx: Tx, task: Task, ended: EndedAgent) -> None:
    """Record how an agent ended; part of a move."""
    rev = tx.emit(
        NewEvent(
            "agent.ended",
            ended.id,
            {
                "outcome": str(ended.outcome),
                "reason": ended.reason,
                "exit_code": ended.exit_code,
                "left": ended.left,
                "cost_usd": ended.usage.cost_usd,
            },
            task.project_id,
            task.id,
        )
    )
    known = {"session_id": ended.session_id} if ended.session_id else {}
    tx.conn.execute(
        _CHANGE,
        {
            **known,
            "ref": ended.id,
            "status": str(STATUS_AFTER[ended.outcome]),
            "outcome": str(ended.outcome),
            "reason": ended.reason,
            "exit_code": ended.exit_code,
            "cpu_seconds": ended.cpu_seconds,
            "max_rss_bytes": ended.max_rss_bytes,
            "input_tokens": ended.usage.input_tokens,
            "output_tokens": ended.usage.output_tokens,
            "cost_usd": ended.usage.cost_usd,
            "ended_at": tx.now,
            "rev": rev,
        },
    )


def close_leftovers(tx: Tx, task: Task) -> None:
    """No agent of an ended task is shown as alive."""
    left = [agent.id for agent in tx.conn.execute(_LIVE_OF, {"ids": [task.id]})]
    for agent_id in left:
        rev = tx.emit(
            NewEvent("agent.ended", agent_id, {"outcome": "cancelled"}, task.project_id, task.id)
        )
        tx.conn.execute(
            _CHANGE,
            {
                "ref": agent_id,
                "status": str(AgentStatus.KILLED),
                "outcome": str(Outcome.CANCELLED),
                "reason": task.reason or "the task ended before the agent did",
                "ended_at": tx.now,
                "rev": rev,
            },
        )


def spent_since(tx: Tx, since: int, project_id: str | None = None) -> float:
    """US dollars spent by agents created since a time (epoch milliseconds)."""
    query = select(func.coalesce(func.sum(agents.c.cost_usd), 0.0)).where(
        agents.c.created_at >= since
    )
    if project_id:
        query = query.where(agents.c.project_id == project_id)
    return float(tx.conn.execute(query).scalar_one())
