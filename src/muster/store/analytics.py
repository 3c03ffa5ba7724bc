"""Verbs that tell how agents do: each one is an aggregate, and reads no more rows than it tells.

Percentiles are values that occur (nearest rank), found by numbering the values in the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select

from muster.domain.agent import LIVE, Outcome, Role
from muster.domain.task import Stage
from muster.store.base import Tx
from muster.store.figures import KIND, WORK, Scope, walk
from muster.store.schema import agents, events, tasks, verdicts

SUCCEEDED, FAILED, CANCELLED, UNJUDGED = "succeeded", "failed", "cancelled", "open"
_LIVE = [str(status) for status in LIVE]
_BEGAN = ("task.created", "task.queued")


class Did(NamedTuple):
    """Agents' runs that are alike: how many, how they ended, and what they used."""

    role: str
    driver: str
    type: str
    status: str
    end: str
    runs: int
    cost_usd: float
    input_tokens: int
    output_tokens: int


def did(tx: Tx, scope: Scope) -> list[Did]:
    """What agents did, by role, driver, type of task and end.

    An agent that codes has `succeeded` when its verdict passed, another one when its run completed;
    it has `failed` otherwise. What a person cancelled is neither; what is at work or waits for its
    verdict is `open`.
    """
    last = (
        select(verdicts.c.agent_id, func.max(verdicts.c.rev).label("rev"))
        .where(verdicts.c.agent_id.is_not(None), verdicts.c.created_at >= scope.since)
        .group_by(verdicts.c.agent_id)
        .subquery()
    )
    end = _end(events.c.payload["passed"].as_boolean()).label("end")
    kind = (agents.c.role, agents.c.driver, tasks.c.type, agents.c.status, end)
    used = (agents.c.cost_usd, agents.c.input_tokens, agents.c.output_tokens)
    query = (
        select(*kind, *used)
        .join(tasks, tasks.c.id == agents.c.task_id)
        .outerjoin(last, last.c.agent_id == agents.c.id)
        .outerjoin(events, events.c.rev == last.c.rev)
    )
    each = scope.of(query, agents.c.created_at, agents.c.project_id).subquery().c
    group = (each.role, each.driver, each.type, each.status, each.end)
    sums = map(func.sum, (each.cost_usd, each.input_tokens, each.output_tokens))
    told = select(*group, func.count(), *sums).group_by(*group).order_by(*group)
    return [Did(*row) for row in tx.conn.execute(told)]


def _end(passed: ColumnElement[bool]) -> ColumnElement[str]:
    codes = agents.c.role == str(Role.CODING)
    claimed = agents.c.outcome == str(Outcome.COMPLETED)
    return case(
        (agents.c.status.in_(_LIVE), UNJUDGED),
        (agents.c.outcome == str(Outcome.CANCELLED), CANCELLED),
        (and_(codes, passed.is_(True)), SUCCEEDED),
        (and_(codes, passed.is_(None), claimed), UNJUDGED),
        (and_(~codes, claimed), SUCCEEDED),
        else_=FAILED,
    )


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in milliseconds: half and 90 of 100 took no longer than this."""

    count: int
    p50: int
    p90: int
    longest: int


class Took(NamedTuple):
    """How long all of them took, and the parts of them by name; None for all when there is none."""

    whole: Times | None
    parts: dict[str, Times]


def runs_took(tx: Tx, scope: Scope) -> Took:
    """How long runs of agents took that have ended, by role."""
    took = agents.c.ended_at - func.coalesce(agents.c.started_at, agents.c.created_at)
    query = select(agents.c.role.label("part"), took.label("took"))
    query = query.where(agents.c.ended_at.is_not(None))
    return _took(tx, scope.of(query, agents.c.created_at, agents.c.project_id))


def tasks_took(tx: Tx, scope: Scope) -> Took:
    """How long it took from the words to the completion of work, by type of task."""
    took = tasks.c.finished_at - tasks.c.created_at
    query = select(tasks.c.type.label("part"), took.label("took"))
    query = query.where(tasks.c.stage == str(Stage.COMPLETED), KIND == WORK)
    return _took(tx, scope.of(query, tasks.c.finished_at, tasks.c.project_id))


def waited(tx: Tx, scope: Scope) -> Times | None:
    """How long tasks were queued that then left the queue; None when none did."""
    stays = walk(scope)
    query = select(stays.c.took)
    query = query.where(stays.c.stage == str(Stage.QUEUED), stays.c.took.is_not(None))
    return _whole(tx, query)


def waiting(tx: Tx, project_id: str | None) -> Times | None:
    """How long those have waited that are queued now; None when none is."""
    began = (
        select(func.max(events.c.time))
        .where(events.c.task_id == tasks.c.id, events.c.type.in_(_BEGAN))
        .scalar_subquery()
    )
    query = select((literal(tx.now) - began).label("took"))
    query = query.where(tasks.c.stage == str(Stage.QUEUED))
    if project_id:
        query = query.where(tasks.c.project_id == project_id)
    return _whole(tx, query)


def _took(tx: Tx, query: Select[Any]) -> Took:
    return Took(_whole(tx, query), _times(tx, query))


def _whole(tx: Tx, query: Select[Any]) -> Times | None:
    values = query.subquery()
    return _times(tx, select(literal("").label("part"), values.c.took)).get("")


def _times(tx: Tx, query: Select[Any]) -> dict[str, Times]:
    """The percentiles of `took` in each `part`."""
    values = query.subquery()
    part, took = values.c.part, values.c.took
    numbered = select(
        part,
        took,
        func.row_number().over(partition_by=part, order_by=took).label("n"),
        func.count().over(partition_by=part).label("whole"),
    ).subquery()
    whole = numbered.c.whole

    def rank(percent: int) -> ColumnElement[Any]:
        at = numbered.c.n == (whole * percent + 99) // 100
        return func.max(case((at, numbered.c.took)))

    told = (func.max(whole), rank(50), rank(90), func.max(numbered.c.took))
    rows = tx.conn.execute(select(numbered.c.part, *told).group_by(numbered.c.part))
    return {row[0]: Times(*map(int, row[1:])) for row in rows}


class Again(NamedTuple):
    """Tasks with agents of a role: how many, how many had more than one, how many more in all."""

    role: str
    tasks: int
    retried: int
    retries: int


def again(tx: Tx, scope: Scope) -> list[Again]:
    """How often tasks needed a further agent of the same role."""
    query = select(agents.c.role, func.count().label("runs"))
    query = scope.of(query, agents.c.created_at, agents.c.project_id)
    each = query.group_by(agents.c.task_id, agents.c.role).subquery()
    more = func.sum(case((each.c.runs > 1, 1), else_=0))
    told = select(each.c.role, func.count(), more, func.sum(each.c.runs - 1))
    return [
        Again(*row) for row in tx.conn.execute(told.group_by(each.c.role).order_by(each.c.role))
    ]


class Rounds(NamedTuple):
    """Reviewed tasks, and how often their reviewers asked for changes: in all, and at most."""

    tasks: int
    rounds: int
    most: int


def rounds(tx: Tx, scope: Scope) -> Rounds:
    """How often reviewers asked for changes."""
    reviewed = (
        select(agents.c.id)
        .where(agents.c.task_id == tasks.c.id, agents.c.role == str(Role.REVIEWER))
        .exists()
    )
    counted = (func.count(), func.sum(tasks.c.rounds), func.max(tasks.c.rounds))
    query = select(*(func.coalesce(each, 0) for each in counted))
    query = query.where(or_(tasks.c.rounds > 0, reviewed))
    return Rounds(*tx.conn.execute(scope.of(query, tasks.c.created_at, tasks.c.project_id)).one())
