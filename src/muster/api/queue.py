"""Routes of the queue and of what waits for a person."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from muster.api import bodies
from muster.api.parameters import Key, Who
from muster.domain.errors import Invalid
from muster.service.counter import Service


def queue_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter."""
    router = APIRouter(prefix="/queue", tags=["queue"])

    @router.get("")
    async def get_queue() -> Any:
        """The ordered list and what holds work back."""
        return await service.get_queue()

    @router.get("/settings")
    async def get_settings() -> Any:
        """What holds work back."""
        return (await service.get_queue())["settings"]

    @router.post("/settings")
    async def set_settings(body: bodies.QueueChange) -> Any:
        """Pause, resume or limit."""
        return (await service.set_queue(body.sent()))["settings"]

    @router.post("/add/{task_id}")
    async def add(task_id: str, by: Who, body: bodies.QueuePlace | None = None) -> Any:
        """Put a task at the end of the list, or at a place; or move it there."""
        return await service.queue_add(task_id, by, body.position if body else None)

    @router.post("/order")
    async def order(body: bodies.QueueOrder) -> Any:
        """Order the whole list."""
        return await service.queue_order(body.tasks)

    @router.delete("/{task_id}")
    async def remove(task_id: str) -> Any:
        """Take a task off the list."""
        return await service.queue_remove(task_id)

    @router.post("/clear")
    async def clear() -> Any:
        """Take what has ended off the list."""
        return await service.queue_clear()

    return router


def breakpoints_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter."""
    router = APIRouter(prefix="/breakpoints", tags=["breakpoints"])

    @router.get("")
    async def list_breakpoints(state: str = "open") -> Any:
        """Questions that wait; with `state=all` also those answered."""
        if state not in {"open", "all"}:
            raise Invalid(f"state '{state}' is not known", hint="open or all")
        return await service.list_breakpoints(open_only=state == "open")

    @router.get("/{breakpoint_id}")
    async def get_breakpoint(breakpoint_id: str) -> Any:
        """One question."""
        return await service.get_breakpoint(breakpoint_id)

    @router.post("/{breakpoint_id}/resolve")
    async def resolve(breakpoint_id: str, body: bodies.Resolution, by: Who, key: Key = None) -> Any:
        """Answer a question."""
        return await service.resolve_breakpoint(breakpoint_id, body.answer, body.note, by, key)

    return router
