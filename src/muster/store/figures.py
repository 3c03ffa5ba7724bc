"""Verbs that count: what became of tasks, attempts, questions, stages, money. They only read.

Each is one aggregate, or a walk along an index that has all it needs; none reads all events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, case, func, select, text

from muster.domain.figures import Spread, spread_of
from muster.domain.task import ACCEPTANCE, MANAGER, PLAN, TERMINAL
from muster.store import schema
from muster.store.base import Tx
from muster.store.breakpoint_rules import HELD
from muster.store.schema import MOVED, agents, breakpoints, events, projects, tasks, verdicts

DAY = 86_400_000
_ENDS = [str(s) for s in TERMINAL]
_NEWEST_DRIVER = (
    select(agents.c.driver)
    .where(agents.c.task_id == tasks.c.id)
    .order_by(agents.c.attempt.desc())
    .limit(1)
    .scalar_subquery()
)
_PROGRAM = func.coalesce(tasks.c.agent, _NEWEST_DRIVER, "none")
"""The agent that did a task, as people name it."""

WORK = "work"
BESIDE = (PLAN, MANAGER, ACCEPTANCE)
"""The kinds of task that change nothing themselves."""
KIND = case((tasks.c.playbook.in_(BESIDE), tasks.c.playbook), else_=WORK)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is counted: what happened from a time to another, of one project or all.

    Both are epoch milliseconds; `until` is none of it.
    """

    since: int = 0
    project_id: str | None = None
    until: int | None = None

    def of(self, query: Select[Any], time: ColumnElement[Any], project: Any) -> Any:
        """A query about what happened at `time` in `project`, within this scope."""
        query = query.where(time >= self.since)
        if self.until is not None:
            query = query.where(time < self.until)
        return query.where(project == self.project_id) if self.project_id else query


class Ended(NamedTuple):
    """Tasks that ended alike; `attempts` and `seconds` are sums."""

    project: str
    type: str
    agent: str
    stage: str
    tasks: int
    attempts: int
    seconds: float
    kind: str = WORK


def ended(tx: Tx, scope: Scope) -> list[Ended]:
    """What became of tasks, by project, type, agent and kind."""
    took = tasks.c.finished_at - func.coalesce(tasks.c.started_at, tasks.c.created_at)
    group = (projects.c.name, tasks.c.type, _PROGRAM, tasks.c.stage)
    sums = (func.count(), func.sum(tasks.c.attempt), func.sum(took) / 1000.0)
    query = select(*group, *sums, KIND)
    query = query.join(projects, projects.c.id == tasks.c.project_id)
    query = query.where(tasks.c.stage.in_(_ENDS))
    query = scope.of(query, tasks.c.finished_at, tasks.c.project_id).group_by(*group, KIND)
    return [Ended(*row) for row in tx.conn.execute(query.order_by(*group, KIND))]


def attempts(tx: Tx, scope: Scope) -> dict[int, int]:
    """How many ended tasks took how many attempts, of those that are work."""
    query = select(tasks.c.attempt, func.count()).where(tasks.c.stage.in_(_ENDS))
    query = query.where(KIND == WORK)
    query = scope.of(query, tasks.c.finished_at, tasks.c.project_id)
    query = query.group_by(tasks.c.attempt).order_by(tasks.c.attempt)
    return dict(tx.conn.execute(query).all())


class Sure(NamedTuple):
    """The verdicts of one day: how many had a confidence and what it was on average."""

    day: int
    verdicts: int
    told: int
    confidence: float | None


def confidence(tx: Tx, scope: Scope) -> list[Sure]:
    """How sure the verdicts were, by day (epoch milliseconds of its beginning in UTC)."""
    day = _day(verdicts.c.created_at)
    sure = verdicts.c.confidence
    query = select(day, func.count(), func.count(sure), func.avg(sure))
    query = query.join(tasks, tasks.c.id == verdicts.c.task_id)
    query = scope.of(query, verdicts.c.created_at, tasks.c.project_id)
    return [Sure(*row) for row in tx.conn.execute(query.group_by(day).order_by(day))]


class Spent(NamedTuple):
    """What the runs of one driver cost on one day."""

    day: int
    driver: str
    runs: int
    cost_usd: float
    input_tokens: int
    output_tokens: int


def spent(tx: Tx, scope: Scope) -> list[Spent]:
    """What was spent, by day and driver."""
    day = _day(agents.c.created_at)
    sums = (agents.c.cost_usd, agents.c.input_tokens, agents.c.output_tokens)
    query = select(day, agents.c.driver, func.count(), *map(func.sum, sums))
    query = scope.of(query, agents.c.created_at, agents.c.project_id)
    query = query.group_by(day, agents.c.driver).order_by(day, agents.c.driver)
    return [Spent(*row) for row in tx.conn.execute(query)]


class Runs(NamedTuple):
    """Runs of a driver that ended alike; `seconds` and the cost are sums."""

    driver: str
    outcome: str
    runs: int
    seconds: float
    cost_usd: float


def runs(tx: Tx, scope: Scope) -> list[Runs]:
    """How agents' runs ended, by driver."""
    outcome = func.coalesce(agents.c.outcome, agents.c.status)
    took = func.coalesce(agents.c.ended_at - agents.c.started_at, 0)
    query = select(
        agents.c.driver, outcome, func.count(), func.sum(took) / 1000.0, func.sum(agents.c.cost_usd)
    )
    query = scope.of(query, agents.c.created_at, agents.c.project_id)
    query = query.group_by(agents.c.driver, outcome).order_by(agents.c.driver, outcome)
    return [Runs(*row) for row in tx.conn.execute(query)]


class Asked(NamedTuple):
    """One question to a person."""

    kind: str
    created_at: int
    resolved_at: int | None
    answer: str | None
    by: str | None


def asked(tx: Tx, scope: Scope) -> list[Asked]:
    """Every question, oldest first; those that an end closed have no `by`."""
    table = breakpoints.c
    query = select(table.kind, table.created_at, table.resolved_at, table.answer, table.by)
    query = scope.of(query, table.created_at, table.project_id).order_by(table.created_at)
    return [Asked(*row) for row in tx.conn.execute(query)]


def rules_held(tx: Tx, scope: Scope) -> dict[str, int]:
    """How often each rule of breakpoints held."""
    name = events.c.payload["rule"].as_string()
    query = select(name, func.count()).where(events.c.type == HELD)
    query = scope.of(query, events.c.time, events.c.project_id).group_by(name).order_by(name)
    return dict(tx.conn.execute(query).all())


def stays(tx: Tx, scope: Scope) -> dict[str, Spread]:
    """How many seconds tasks were in each stage, of the stays that have ended."""
    found = walk(scope)
    query = select(found.c.stage, found.c.took).where(
        found.c.took.is_not(None), found.c.stage.not_in(_ENDS)
    )
    took: dict[str, list[float]] = {}
    for name, milliseconds in tx.conn.execute(query):
        took.setdefault(name, []).append(milliseconds / 1000)
    return {name: spread_of(seconds) for name, seconds in took.items()}


def walk(scope: Scope) -> Subquery:
    """Every stay of a task in a `stage`, and how many milliseconds it `took`; null if it goes on.

    A stay is from one move of a task to its next. The event of a task's acceptance names the stage
    it began in.
    """
    moves = events.alias()
    accepted = events.c.payload["stage"].as_string()
    first = select(accepted).where(events.c.rev == moves.c.rev).scalar_subquery()
    stage = case(
        (moves.c.type == "task.created", first), else_=func.substr(moves.c.type, len("task.") + 1)
    )
    then = func.lead(moves.c.time).over(partition_by=moves.c.task_id, order_by=moves.c.rev)
    stays = select(stage.label("stage"), (then - moves.c.time).label("took")).where(text(MOVED))
    whole: Select[Any] = scope.of(stays, moves.c.time, moves.c.project_id)
    return whole.subquery()


def outcomes(tx: Tx, scope: Scope) -> list[tuple[float | None, bool]]:
    """What verdicts said before, and whether the work then turned out right."""
    table = schema.outcomes
    query = select(table.c.confidence, table.c.right)
    query = scope.of(query, table.c.created_at, table.c.project_id)
    rows: Any = tx.conn.execute(query.order_by(table.c.created_at))
    return [(row[0], bool(row[1])) for row in rows]


def open_questions(tx: Tx) -> dict[str, int]:
    """How many questions of each kind wait now."""
    kind = breakpoints.c.kind
    query = select(kind, func.count()).where(breakpoints.c.resolved_at.is_(None)).group_by(kind)
    return dict(tx.conn.execute(query).all())


def _day(time: ColumnElement[int]) -> ColumnElement[int]:
    return time - time % DAY
