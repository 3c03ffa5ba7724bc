"""Verbs of the router: each event that may lead a task on does so once, or never.

An event is taken in when it is first seen, and leads on when its task has come to rest. Both are
one transaction with what follows from them, so that whatever dies in between, nothing is lost and
nothing happens twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, or_, select, update

from muster.domain.agent import Role
from muster.domain.errors import MusterError
from muster.domain.event import KINDS, Event, NewEvent
from muster.domain.playbook import (
    APPROVED,
    ASSIGNED,
    BEGIN,
    BUILT_IN,
    CHANGES,
    CLOSED,
    DEFAULT_LIMIT,
    MERGED,
    OFFERED,
    OFFERED_AGAIN,
    ORDERS,
    REVIEWED,
    ROUTED,
    SAYS,
    Act,
    Playbook,
)
from muster.domain.project import ProjectSettings
from muster.domain.task import TERMINAL, Stage, Task
from muster.failpoint import failpoint
from muster.store.base import Tx
from muster.store.events import get_event
from muster.store.onward import bugs_before, led_on
from muster.store.orders import ordered
from muster.store.papers import BOOK, paper_of
from muster.store.pulls import pull_of
from muster.store.schema import agents, counters, events, routes, tasks
from muster.store.tasks import get_task

log = logging.getLogger("muster.store")

_AT_ONCE = 500
_FAR = 5000
"""Events after which the cursor moves on, though nothing among them leads anywhere."""
_CURSOR = select(counters.c.value).where(counters.c.name == "routed")
_NEWEST = select(counters.c.value).where(counters.c.name == "rev")
_SEEN = (  # what agents say themselves leads nowhere
    select(events.c.rev, events.c.type, events.c.task_id)
    .join(tasks, tasks.c.id == events.c.task_id, isouter=True)
    .join(agents, agents.c.id == events.c.subject, isouter=True)
    .where(
        events.c.rev > bindparam("cursor"),
        agents.c.id.is_(None),
        or_(tasks.c.step.is_not(None), events.c.type.in_(sorted(ORDERS))),
    )
    .order_by(events.c.rev)
    .limit(_AT_ONCE)
)
_READY = (
    select(routes.c.rev)
    .join(tasks, tasks.c.id == routes.c.task_id, isouter=True)
    .where(
        routes.c.state == "pending",
        or_(
            routes.c.task_id.is_(None),
            tasks.c.stage.in_(
                [str(s) for s in (Stage.HANDED_ON, Stage.WAITING, Stage.QUEUED, *TERMINAL)]
            ),
        ),
    )
    .order_by(routes.c.rev)
    .limit(_AT_ONCE)
)
_TIMES = (
    select(func.count())
    .where(routes.c.task_id == bindparam("task"), routes.c.state == "done")
    .where(routes.c.type == bindparam("kind"))
)

_MERGES = select(func.count()).where(
    routes.c.task_id == bindparam("task"), routes.c.type == MERGED, routes.c.state != "refused"
)
_MERGED_BEFORE = _MERGES.where(routes.c.state != "pending")
_OF_PULLS = frozenset({OFFERED, OFFERED_AGAIN, REVIEWED, APPROVED, CHANGES, CLOSED})
_PENDING = select(func.count()).where(
    routes.c.task_id == bindparam("task"),
    routes.c.type == bindparam("kind"),
    routes.c.state == "pending",
)

Settings = Callable[[str], ProjectSettings]
"""The settings of a project by its id."""


@dataclass(frozen=True, slots=True)
class Routed:
    """What became of an event: `state` done, refused or pending, and what it led to or why not."""

    state: str
    led_to: str = ""
    task_id: str | None = None


def book_of(tx: Tx, task: Task) -> Playbook | None:
    """The table that leads a task on: its own as it was when it was accepted, else a built-in."""
    kept = paper_of(tx, task.id, BOOK)
    if kept is not None:
        values = {**kept, "waits_for": frozenset(kept["waits_for"])}
        return Playbook(**values)
    return BUILT_IN.get(task.playbook or "")


def is_due(tx: Tx) -> bool:
    """Whether an event waits to be taken in, or to lead on."""
    cursor = int(tx.conn.execute(_CURSOR).scalar_one())
    ahead = int(tx.conn.execute(_NEWEST).scalar_one()) - cursor
    if ahead:
        found, until = _taken(tx, cursor)
        # What leads nowhere is passed over now and then, and where it hides what comes after it.
        if found or ahead > _FAR or until < cursor + ahead:
            return True
    return any(_may_lead(tx, rev) for rev in tx.conn.execute(_READY).scalars().all())


def _taken(tx: Tx, cursor: int) -> tuple[list[Any], int]:
    """The events above the cursor that may lead on, and where the cursor is to stand then."""
    rows = tx.conn.execute(_SEEN, {"cursor": cursor}).all()
    whole = len(rows) < _AT_ONCE
    until = int(tx.conn.execute(_NEWEST).scalar_one()) if whole else rows[-1].rev
    return [row for row in rows if row.type in ROUTED or row.type not in KINDS], until


def _may_lead(tx: Tx, rev: int) -> bool:
    """Whether a pending event would do something now: not what rests until a person decides."""
    route = tx.conn.execute(select(routes).where(routes.c.rev == rev)).one()
    if route.task_id is None:
        return True
    task = get_task(tx, route.task_id)
    return _is_its_turn(task, route.type)


def _is_its_turn(task: Task, kind: str) -> bool:
    if task.stage in TERMINAL or task.stage is Stage.HANDED_ON:
        return True
    # A person at the forge may decide what a person is asked here.
    at_merge = {OFFERED_AGAIN} if task.step == Act.MERGE else set()
    return task.stage is Stage.WAITING and kind in {MERGED, CHANGES, *at_merge}


def route(tx: Tx, settings: Settings) -> list[Routed]:
    """Take in what is new, and let what is due lead on, in the order in which it happened."""
    cursor = int(tx.conn.execute(_CURSOR).scalar_one())
    found, until = _taken(tx, cursor)
    for row in found:
        kept = {"rev": row.rev, "type": row.type, "task_id": row.task_id, "at": tx.now}
        why, about = _heard(tx, get_event(tx, row.rev))
        tx.conn.execute(insert(routes), {**kept, "state": "pending", "led_to": about})
        if why:
            _keep(tx, get_event(tx, row.rev), Routed("refused", why))
    tx.conn.execute(update(counters).where(counters.c.name == "routed").values(value=until))
    failpoint("route.taken_in")
    pending = tx.conn.execute(_READY).scalars().all()
    done = [_lead(tx, rev, settings) for rev in pending if _may_lead(tx, rev)]
    failpoint("route.before_commit")
    return done


def _heard(tx: Tx, event: Event) -> tuple[str, str]:
    """Why what somebody outside says does not count now that it is heard, else what it is about.

    An opinion is about the pull request as it is then; a kind of a playbook's own is about work
    that rests, or is just being offered.
    """
    if event.cause is not None or event.task_id is None or event.type in ORDERS:
        return "", ""
    task = get_task(tx, event.task_id)
    if event.type in {APPROVED, CHANGES}:
        pull = pull_of(tx, task.id)
        if pull is None or pull.state != "open":
            return f"{task.label} has no open pull request", ""
        return "", pull.head
    offering = task.stage is Stage.MERGING and task.step == Role.CODING
    if event.type in ROUTED or task.stage in {Stage.HANDED_ON, Stage.WAITING} or offering:
        return "", ""
    return f"{task.label} is {task.stage}, and what was said is about no work that rests", ""


def _lead(tx: Tx, rev: int, settings: Settings) -> Routed:
    """Let one event lead on; a fault in that is its own, and refuses it."""
    event = get_event(tx, rev)
    try:
        with tx.whole():
            return _keep(tx, event, _became(tx, event, settings))
    except MusterError as fault:
        return _keep(tx, event, Routed("refused", f"{fault.detail} ({fault.hint})"))
    except Exception as fault:  # one event must not hold up all tasks
        log.exception("event %d could not lead on", rev)
        return _keep(tx, event, Routed("refused", f"{type(fault).__name__}: {fault}"))


def _keep(tx: Tx, event: Event, became: Routed) -> Routed:
    """Keep what became of an event."""
    tx.conn.execute(
        update(routes)
        .where(routes.c.rev == event.rev)
        .values(state=became.state, led_to=became.led_to[:500], at=tx.now)
    )
    if became.state == "refused":
        said = {"event": event.rev, "type": event.type, "why": became.led_to}
        told = NewEvent(
            "event.refused", event.subject, said, event.project_id, event.task_id, event.rev
        )
        tx.emit(told)
    return became


def _became(tx: Tx, event: Event, settings: Settings) -> Routed:
    task = get_task(tx, event.task_id) if event.task_id else None
    if event.type in ORDERS and (task is None or _is_anew(event, task)):
        return _ordered(tx, event, task, settings)
    if task is None:
        return Routed("refused", "it names no task")
    book = book_of(tx, task)
    target = book.follows(event.type) if book else None
    why = _why_not(tx, event, task, target)
    if why or book is None or target is None:
        return Routed("refused", why)
    limit = book.limit(event.type)
    if target == Act.BUG:
        times, limit = bugs_before(tx, task), limit or DEFAULT_LIMIT
    else:
        times = int(tx.conn.execute(_TIMES, {"task": task.id, "kind": event.type}).scalar_one())
    spent = limit is not None and times >= limit
    return Routed("done", led_on(tx, task, event, target, settings(task.project_id), spent=spent))


def _may_come(tx: Tx, event: Event, task: Task) -> bool:
    """Whether what somebody outside says is what the task's step may end with, or waits for.

    What is said of pull requests is about these, wherever the task stands.
    """
    if event.type not in ROUTED or event.type in ORDERS or event.type.startswith("pr."):
        return True
    book = book_of(tx, task)
    return event.type in SAYS.get(task.step or "", ()) or (
        book is not None and event.type in book.waits_for
    )


def _is_anew(event: Event, task: Task) -> bool:
    """Whether an order about a task is for another one: this one has ended, or did not say it."""
    return task.stage in TERMINAL or (event.cause is None and event.type != ASSIGNED)


def _why_not(tx: Tx, event: Event, task: Task, target: str | None) -> str:
    """Why an event leads its task nowhere; empty where it leads on."""
    if task.stage in TERMINAL:
        return f"{task.label} has {task.stage} already"
    if target is None:
        return f"nothing in the playbook '{task.playbook}' follows {event.type}"
    if event.cause is None and not _may_come(tx, event, task):
        return f"{task.label} is at '{task.step}', which does not end with {event.type}"
    return _is_of_the_past(tx, event, task)


def _ordered(tx: Tx, event: Event, ended: Task | None, settings: Settings) -> Routed:
    """Make the task that an order from outside wants, and let the order lead it on."""
    made = ordered(tx, event, ended, settings)
    if isinstance(made, str):
        return Routed("refused", made)
    if made.stage is Stage.PROPOSED:
        return Routed("done", f"{made.label} is proposed", made.id)
    book = book_of(tx, made)
    step = book.follows(event.type) if book else None
    if step is None:
        return Routed("refused", f"nothing follows {event.type}")
    led = led_on(tx, made, event, step, settings(made.project_id), spent=False)
    return Routed("done", f"{made.label}: {led}", made.id)


def _is_of_the_past(tx: Tx, event: Event, task: Task) -> str:
    """Why an event does not count: it is about a state that its task has left."""
    if event.type == ASSIGNED:
        return "" if task.step == BEGIN else f"{task.label} has begun already"
    if event.type == MERGED:
        merged = tx.conn.execute(_MERGED_BEFORE, {"task": task.id}).scalar_one()
        return f"{task.label} was merged before" if merged else ""
    return _is_of_a_past_pull(tx, event, task) if event.type in _OF_PULLS else ""


def _is_of_a_past_pull(tx: Tx, event: Event, task: Task) -> str:
    """Why something about a pull request does not count: it is merged, or has changed."""
    if tx.conn.execute(_MERGES, {"task": task.id}).scalar_one():
        return f"{task.label} is merged"
    pull = pull_of(tx, task.id)
    if event.type == CLOSED and pull is not None and pull.state == "open":
        return "another pull request has taken its place"
    if event.type not in {APPROVED, CHANGES, OFFERED_AGAIN}:
        return ""
    head = event.payload.get("head") or _about(tx, event)
    if pull is None:
        return f"{task.label} has no pull request"
    if head is not None and head != pull.head:
        return "the pull request has changed since"
    return ""


def _about(tx: Tx, event: Event) -> str | None:
    """The head that an opinion was about when it was heard."""
    query = select(routes.c.led_to).where(routes.c.rev == event.rev)
    return tx.conn.execute(query).scalar_one() or None


def wants_changes(tx: Tx, task_id: str) -> bool:
    """Whether somebody asks for changes of a task that has not come to rest since."""
    asked = {"task": task_id, "kind": CHANGES}
    return bool(tx.conn.execute(_PENDING, asked).scalar_one())


def forgive(tx: Tx, task_id: str) -> None:
    """Let what led a task on so far count towards no limit any more: a person said try again."""
    tx.conn.execute(
        update(routes)
        .where(routes.c.task_id == task_id, routes.c.state == "done")
        .values(state="past")
    )


def story(tx: Tx, task_id: str) -> Sequence[Mapping[str, Any]]:
    """What has led a task on so far, in order, with what each event led to."""
    rows = tx.conn.execute(select(routes).where(routes.c.task_id == task_id).order_by(routes.c.rev))
    return [dict(row._mapping) for row in rows]
