"""Routes of events: page, follow, append."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from muster.api import bodies
from muster.api.parameters import Key, LastId, Limit, Offset
from muster.api.streams import event_frames, last_id, stream
from muster.domain.errors import Invalid
from muster.service.counter import Service


def events_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter."""
    router = APIRouter(prefix="/events", tags=["events"])

    @router.get("")
    async def list_events(
        after: Offset = None,
        limit: Limit = 100,
        type: str | None = None,  # the API's own word
        task: str | None = None,
    ) -> Any:
        """Events in order."""
        return await service.list_events(after, limit, type, task)

    @router.get("/pending")
    async def pending(
        after: Offset = None,
        limit: Limit = 100,
        type: str | None = None,  # the API's own word
        task: str | None = None,
    ) -> Any:
        """Events that nobody has marked processed."""
        return await service.list_events(after, limit, type, task, processed=False)

    @router.get("/processed")
    async def processed(
        after: Offset = None,
        limit: Limit = 100,
        type: str | None = None,  # the API's own word
        task: str | None = None,
    ) -> Any:
        """Events that somebody has marked processed."""
        return await service.list_events(after, limit, type, task, processed=True)

    @router.get("/stream", response_model=None)
    async def follow(after: Offset = None, last: LastId = None) -> Any:
        """Events as they happen; resumes behind `Last-Event-ID`."""
        seen = last_id(last)
        position = seen if seen is not None else after
        if position is not None and position > service.current_rev():
            raise Invalid(f"event {position} is not known here", hint="begin without Last-Event-ID")
        return stream(event_frames(service.follow_events(position)))

    @router.get("/{rev}")
    async def get_event(rev: int) -> Any:
        """One event, what led to it and what it led to."""
        return await service.get_event(rev)

    @router.post("", status_code=201)
    async def emit(body: bodies.NewEvent, key: Key = None) -> Any:
        """Append a fact from outside."""
        return await service.emit_event(body.sent(), key)

    @router.post("/{rev}/processed")
    async def mark(rev: int) -> Any:
        """Say that an event was dealt with."""
        return await service.mark_processed(rev)

    return router
