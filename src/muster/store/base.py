"""What every store can do: write and read by verbs, and say that something changed.

A verb is a function of the rooms beside this file; its first argument is a transaction. The verbs
are the SQL that SQLite and PostgreSQL share; a store only knows how to run them. What runs for
every task is a statement built once, with named parameters: to build one costs four times as much
as to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, bindparam, insert, update

from muster.domain.event import Event, NewEvent
from muster.store import schema
from muster.store.feed import Feed

MOVING = (
    *("task.", "queue.", "project.", "breakpoint.resolved", "agent.told"),
    *("pr.", "deploy.", "verify.", "audit."),
    *("checkpoint.taken", "conflict.gone"),
)
"""Kinds of events that may let some task go on; the engine looks when there was one."""

P = ParamSpec("P")
T = TypeVar("T")

_COUNT = (
    update(schema.counters)
    .where(schema.counters.c.name == bindparam("counter"))
    .values(value=schema.counters.c.value + 1)
    .returning(schema.counters.c.value)
)
_COUNTED = (
    update(schema.counters)
    .where(schema.counters.c.name == bindparam("counter"))
    .values(value=bindparam("last"))
)
_EVENT = insert(schema.events)


@dataclass(slots=True)
class Tx:
    """One transaction: a connection, the one time it happens at, and the events it writes.

    `rev` is the number of its newest event, `moved` of the newest that may let some task go on;
    `written` are all that were flushed.
    """

    conn: Connection
    now: int
    rev: int = 0
    moved: int = 0
    written: list[Event] = field(default_factory=list)
    _counted: int = 0
    _unwritten: list[dict[str, Any]] = field(default_factory=list)

    def next(self, counter: str) -> int:
        """The next number of a gap-free series; a rolled-back transaction gives it back."""
        return int(self.conn.execute(_COUNT, {"counter": counter}).scalar_one())

    def emit(self, event: NewEvent) -> int:
        """Append one fact and return its number.

        The first one takes hold of the series, so that nobody else numbers events meanwhile.
        """
        if not self.rev:
            self._counted = self.rev = self.next("rev")
        else:
            self.rev += 1
        self._unwritten.append(
            {
                "rev": self.rev,
                "time": self.now,
                "type": event.type,
                "subject": event.subject,
                "payload": dict(event.payload),
                "project_id": event.project_id,
                "task_id": event.task_id,
                "cause": event.cause,
            }
        )
        if event.type.startswith(MOVING):
            self.moved = self.rev
        return self.rev

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Do what is in the block whole or not at all, whatever becomes of the transaction."""
        self.flush()
        kept = (self.rev, self.moved, self._counted, len(self.written))
        try:
            with self.conn.begin_nested():
                yield
                self.flush()
        except BaseException:
            self.rev, self.moved, self._counted, told = kept
            del self.written[told:]
            self._unwritten = []
            raise

    def flush(self) -> None:
        """Write the events that were appended; a store does so before it commits."""
        if self._unwritten:
            self.conn.execute(_EVENT, self._unwritten)
            if self._counted != self.rev:
                self.conn.execute(_COUNTED, {"counter": "rev", "last": self.rev})
                self._counted = self.rev
            self.written += [Event(**row) for row in self._unwritten]
            self._unwritten = []


class Store(Protocol):
    """The one source of truth, durable once a write has returned."""

    feed: Feed

    async def write(
        self, verb: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a verb in a transaction; what it returns is durable.

        Raises:
            NoRoom: nothing was written, because the disk is full.
            Whatever the verb raises; then nothing of it was written.
        """
        ...

    async def read(
        self, verb: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a verb that only reads, on a consistent snapshot."""
        ...

    def describe(self) -> dict[str, str]:
        """What the store is and how durable, for `health` and `doctor`."""
        ...

    async def close(self) -> None:
        """Finish what was accepted and let go of the database."""
        ...
