"""The counter's part for those who watch: events, questions, the fleet's figures."""

from __future__ import annotations

import os
import statistics
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy import func, select

from muster.domain.errors import Gone, Invalid
from muster.domain.outside import outside_fact
from muster.domain.task import HOLDS_A_SLOT, STATUS_OF, Stage
from muster.runtimes.choice import Usual
from muster.service import shapes
from muster.service.desk import Desk
from muster.service.queue import stopped_shape
from muster.store import (
    agents,
    events,
    judgements,
    keys,
    outside,
    projects,
    schema,
    tasks,
)
from muster.store.base import Tx

PAGE = 200
_HOUR = 3_600_000
_DAY = 24 * _HOUR


class Watching(Desk):
    """Everything a door can ask about what happens."""

    async def health(self) -> dict[str, Any]:
        """Whether muster works, and on what."""
        counts = await self._store.read(tasks.count_stages)
        return {
            "status": "ok" if self._own.room_on_disk() else "full",
            "version": self._own.version,
            "pid": os.getpid(),
            "started_at": shapes.moment(self._own.started_at),
            "store": self._store.describe(),
            "runtime": _usual(self._own.usual()),
            "engine": {
                **self._own.engine_state(),
                "running": sum(counts.get(s, 0) for s in HOLDS_A_SLOT),
                "queued": counts.get(Stage.QUEUED, 0),
                "waiting": counts.get(Stage.WAITING, 0),
            },
        }

    def current_rev(self) -> int:
        """The number of the newest event."""
        return self._store.feed.rev

    async def wait_change(self, rev: int, seconds: float) -> int:
        """The newest number, as soon as it is above `rev` or when the time is up."""
        return await self._store.feed.wait(rev, seconds)

    async def changed_since(self, rev: int, project: str | None = None) -> dict[str, Any]:
        """The latest state of every task and question that changed after event `rev`."""

        def read(tx: Tx) -> dict[str, Any]:
            project_id = projects.get_project(tx, project).id if project else None
            found = tasks.tasks_since(tx, rev, project_id)
            asked = judgements.breakpoints_since(tx, rev)
            queue_rev = judgements.queue_settings(tx).rev
            return {
                "rev": events.newest_rev(tx),
                "tasks": self._task_shapes(tx, found),
                "breakpoints": [self._breakpoint(tx, b.id) for b in asked],
                "queue": queue_rev > rev,
            }

        return await self._store.read(read)

    async def list_events(
        self,
        after: int | None = None,
        limit: int = 100,
        type: str | None = None,  # the API's own word
        task: str | None = None,
        processed: bool | None = None,
    ) -> dict[str, Any]:
        """A page of events in order, above `after`."""

        def read(tx: Tx) -> dict[str, Any]:
            task_id = tasks.get_task(tx, task).id if task else None
            found = events.events_after(
                tx, after or 0, limit=limit + 1, kind=type, task_id=task_id, processed=processed
            )
            page = found[:limit]
            return {
                "items": [shapes.event_shape(e) for e in page],
                "next": str(page[-1].rev) if found[limit:] else None,
            }

        return await self._store.read(read)

    async def get_event(self, rev: int) -> dict[str, Any]:
        """One event, with the chain of causes that led to it, and what it led to."""

        def read(tx: Tx) -> dict[str, Any]:
            event = events.get_event(tx, rev)
            return {
                **shapes.event_shape(event),
                "chain": [shapes.event_shape(e) for e in events.causes_of(tx, event)],
                "led_to": [shapes.event_shape(e) for e in events.led_to(tx, rev)],
            }

        return await self._store.read(read)

    async def emit_event(self, body: Mapping[str, Any], key: str | None = None) -> dict[str, Any]:
        """Append a fact from outside.

        Raises:
            Invalid: it cannot be said, as where its type is one that only muster may say.
            NotFound: there is no such task or project.
        """
        fact = outside_fact(body)

        def write(tx: Tx) -> dict[str, Any]:
            rev = outside.tell(tx, fact)
            tx.flush()
            return shapes.event_shape(events.get_event(tx, rev))

        scoped = f"event {key}" if key else None
        answer, _ = await self._store.write(keys.once, scoped, dict(body), write)
        return answer

    async def mark_processed(self, rev: int) -> dict[str, Any]:
        """Say that somebody outside has dealt with an event."""
        marked = await self._store.write(events.mark_processed, rev)
        self._store.feed.forget()
        return shapes.event_shape(marked)

    async def follow_events(self, after: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """Events in order as they are committed; from now on when `after` is None.

        Raises:
            Gone: events after `after` are no longer kept.
            Invalid: `after` is in the future.
        """
        position = self._store.feed.rev if after is None else after
        if position > self._store.feed.rev:
            raise Invalid(f"event {position} is not known here", hint="begin without Last-Event-ID")
        oldest = await self._store.read(events.oldest_rev)
        if oldest and position < oldest - 1:
            raise Gone(
                f"events before {oldest} are no longer kept", hint="read the tasks, then follow"
            )
        while True:
            found = self._store.feed.since(position, PAGE)
            if found is None:
                found = await self._store.read(events.events_after, position, limit=PAGE)
            for event in found:
                position = event.rev
                yield shapes.event_shape(event)
            if len(found) < PAGE:
                await self._store.feed.wait(position, 5.0)

    async def list_breakpoints(self, open_only: bool = True) -> dict[str, Any]:
        """Questions, those that hold back most first, then the oldest; and what stops the list."""

        def read(tx: Tx) -> dict[str, Any]:
            found = judgements.list_breakpoints(tx, open_only=open_only)
            items = [self._breakpoint(tx, b.id) for b in found]
            items.sort(key=lambda b: (-b["holds_back"], b["created_at"]))
            return {"items": items, "next": None, "stopped": stopped_shape(tx)}

        return await self._store.read(read)

    async def get_breakpoint(self, breakpoint_id: str) -> dict[str, Any]:
        """One question."""
        return await self._store.read(self._breakpoint, breakpoint_id)

    def _breakpoint(self, tx: Tx, breakpoint_id: str) -> dict[str, Any]:
        item = judgements.get_breakpoint(tx, breakpoint_id)
        task = tasks.get_task(tx, item.task_id)
        return shapes.breakpoint_shape(item, task, tasks.holds_back(tx, task.id))

    async def fleet(self, project: str | None = None) -> dict[str, Any]:
        """The figures on top of the board."""

        def read(tx: Tx) -> dict[str, Any]:
            project_id = projects.get_project(tx, project).id if project else None
            return self._fleet(tx, project_id)

        return await self._store.read(read)

    def _fleet(self, tx: Tx, project_id: str | None) -> dict[str, Any]:
        counts = tasks.count_stages(tx, project_id)
        done = _finished(tx, self._now() - _DAY, project_id)
        times = [at - began for at, began in done if began]
        hours = [0] * 12
        for at, _ in done:
            age = (self._now() - at) // _HOUR
            if age < len(hours):
                hours[len(hours) - 1 - age] += 1
        ahead = counts.get(Stage.QUEUED, 0) + counts.get(Stage.BLOCKED, 0)
        limit = judgements.queue_settings(tx).max_concurrent
        median = statistics.median(times) / 1000 if times else None
        shown: dict[str, int] = {}
        for stage, count in counts.items():
            shown[str(STATUS_OF[stage])] = shown.get(str(STATUS_OF[stage]), 0) + count
        return {
            "agents_busy": sum(counts.get(s, 0) for s in HOLDS_A_SLOT),
            "agents_limit": limit,
            "finished_last_hour": hours[-1],
            "finished_series": hours,
            "merge_median_seconds": median,
            "merge_series": [round(t / 1000, 1) for t in times[-12:]],
            "spent_today_usd": round(agents.spent_since(tx, self._now() - _DAY, project_id), 4),
            "budget_usd": None,
            "queue_clears_seconds": round(ahead * median / limit) if median and ahead else None,
            "done_today": len(done),
            "counts": shown,
        }


def _usual(usual: Usual | None) -> dict[str, str] | None:
    """Where agents run that name no place, and how that contains them; None until it is known."""
    if usual is None:
        return None
    return {"name": usual.name, "told": usual.told(), "mend": usual.mend}


def _finished(tx: Tx, since: int, project_id: str | None) -> list[tuple[int, int | None]]:
    """When each task completed since a time, and when it had started."""
    table = schema.tasks
    query = (
        select(table.c.finished_at, func.coalesce(table.c.started_at, table.c.created_at))
        .where(table.c.stage == str(Stage.COMPLETED), table.c.finished_at >= since)
        .order_by(table.c.finished_at)
    )
    if project_id:
        query = query.where(table.c.project_id == project_id)
    return [(int(at), int(began)) for at, began in tx.conn.execute(query)]
