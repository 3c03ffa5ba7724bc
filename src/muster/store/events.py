"""Verbs about events: append, page, mark."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select, update

from muster.domain.errors import Conflict, NotFound
from muster.domain.event import Event, NewEvent
from muster.store.base import Tx
from muster.store.rows import event_of
from muster.store.schema import events

_ABOVE = (
    select(events)
    .where(events.c.rev > bindparam("above"))
    .order_by(events.c.rev)
    .limit(bindparam("most"))
)
_ONE = select(events).where(events.c.rev == bindparam("rev"))
_REACH = 10_000
"""How far after an event it is looked for what it led to: there is no index of causes."""


def append(tx: Tx, new: NewEvent) -> Event:
    """Append a fact from outside."""
    rev = tx.emit(new)
    tx.flush()
    return get_event(tx, rev)


def get_event(tx: Tx, rev: int) -> Event:
    """An event by its number.

    Raises:
        NotFound: there is no such event.
    """
    row = tx.conn.execute(_ONE, {"rev": rev}).first()
    if row is None:
        raise NotFound(f"there is no event {rev}", hint="muster event list shows the newest ones")
    return event_of(row)


def causes_of(tx: Tx, event: Event, most: int = 100) -> list[Event]:
    """What led to an event: its cause, the cause of that, and so on, the oldest first."""
    found: list[Event] = []
    # A cause comes before what it leads to, so that this ends.
    while event.cause is not None and event.cause < event.rev and len(found) < most:
        row = tx.conn.execute(_ONE, {"rev": event.cause}).first()
        if row is None:
            break
        event = event_of(row)
        found.append(event)
    return found[::-1]


def led_to(tx: Tx, rev: int, most: int = 100) -> list[Event]:
    """What an event led to, in order, among the 10,000 events after it."""
    query = _ABOVE.where(events.c.rev <= rev + _REACH, events.c.cause == rev)
    return [event_of(row) for row in tx.conn.execute(query, {"above": rev, "most": most})]


def events_after(
    tx: Tx,
    rev: int,
    *,
    limit: int = 100,
    kind: str | None = None,
    task_id: str | None = None,
    project_id: str | None = None,
    processed: bool | None = None,
) -> list[Event]:
    """Events above `rev`, in order."""
    query = _ABOVE
    if kind:
        query = query.where(events.c.type == kind)
    if task_id:
        query = query.where(events.c.task_id == task_id)
    if project_id:
        query = query.where(events.c.project_id == project_id)
    if processed is not None:
        column = events.c.processed_at
        query = query.where(column.is_not(None) if processed else column.is_(None))
    return [event_of(row) for row in tx.conn.execute(query, {"above": rev, "most": limit})]


def newest(tx: Tx, limit: int, task_id: str | None = None) -> list[Event]:
    """The last events, in order."""
    query = select(events).order_by(events.c.rev.desc()).limit(limit)
    if task_id:
        query = query.where(events.c.task_id == task_id)
    return [event_of(row) for row in reversed(tx.conn.execute(query).all())]


def count(tx: Tx, kind: str, subject: str) -> int:
    """How many events of a kind are about this subject."""
    query = select(func.count()).where(events.c.type == kind, events.c.subject == subject)
    return int(tx.conn.execute(query).scalar_one())


def newest_rev(tx: Tx) -> int:
    """The number of the last event, 0 when there is none."""
    return int(tx.conn.execute(select(func.coalesce(func.max(events.c.rev), 0))).scalar_one())


def oldest_rev(tx: Tx) -> int:
    """The number of the first event that is kept, 0 when there is none."""
    return int(tx.conn.execute(select(func.coalesce(func.min(events.c.rev), 0))).scalar_one())


def mark_processed(tx: Tx, rev: int) -> Event:
    """Say that somebody outside has dealt with an event.

    Raises:
        Conflict: it was marked before.
    """
    found = get_event(tx, rev)
    if found.processed_at is not None:
        raise Conflict(f"event {rev} is already marked processed", hint="nothing is left to do")
    tx.conn.execute(update(events).where(events.c.rev == rev).values(processed_at=tx.now))
    return get_event(tx, rev)
