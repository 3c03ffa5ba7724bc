"""What every store can do: write and read by verbs, and say that something changed.

A verb is a function of the rooms beside this file; its first argument is a transaction. The verbs
are the SQL that SQLite and PostgreSQL share; a store only knows how to run them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, insert, update

from muster.domain.event import NewEvent
from muster.store import schema
from muster.store.feed import Feed

MOVING = ("task.", "queue.", "project.")
"""Kinds of events that may let some task go on; the engine looks when there was one."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Tx:
    """One transaction: a connection, the one time it happens at, and the events it writes."""

    conn: Connection
    now: int
    revs: list[int] = field(default_factory=list)
    moved: int = 0

    def next(self, counter: str) -> int:
        """The next number of a gap-free series; a rolled-back transaction gives it back."""
        row = self.conn.execute(
            update(schema.counters)
            .where(schema.counters.c.name == counter)
            .values(value=schema.counters.c.value + 1)
            .returning(schema.counters.c.value)
        ).one()
        return int(row.value)

    def emit(self, event: NewEvent) -> int:
        """Append one fact and return its number."""
        rev = self.next("rev")
        self.conn.execute(
            insert(schema.events).values(
                rev=rev,
                time=self.now,
                type=event.type,
                subject=event.subject,
                payload=dict(event.payload),
                project_id=event.project_id,
                task_id=event.task_id,
                cause=event.cause,
            )
        )
        self.revs.append(rev)
        if event.type.startswith(MOVING):
            self.moved = rev
        return rev


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
