"""Routes of tasks: look, submit, and act on one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from io import SEEK_END
from typing import IO, Any

from fastapi import APIRouter, Response
from starlette.responses import StreamingResponse

from muster.api import bodies
from muster.api.parameters import Key, Limit, Match, NoneMatch, Offset, Who
from muster.api.problems import Json
from muster.domain.errors import ChangedMeanwhile
from muster.service.counter import Service

_PIECE = 262_144


def tasks_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter."""
    router = APIRouter(prefix="/tasks", tags=["tasks"])

    @router.get("")
    async def list_tasks(
        project: str | None = None,
        status: str | None = None,
        limit: Limit = 100,
        after: Offset = None,
    ) -> Any:
        """Tasks, newest first."""
        return await service.list_tasks(project, status, limit, after)

    @router.post("", status_code=201)
    async def create_task(body: bodies.NewTask, key: Key = None) -> Any:
        """Submit a task; durable once this answers."""
        shape, replayed = await service.create_task(body.sent(), key)
        return _made(shape, replayed, f"/api/tasks/{shape['id']}")

    @router.get("/{ref}/decisions")
    async def decisions(ref: str) -> Any:
        """The decisions about a task with all that each depended on."""
        return await service.decisions_of(ref)

    @router.get("/{ref}")
    async def get_task(ref: str, none_match: NoneMatch = None) -> Any:
        """A task with its verdicts, decisions and cost."""
        shape = await service.get_task(ref)
        tag = f'"{shape["rev"]}"'
        if none_match == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return Json(shape, headers={"ETag": tag})

    @router.patch("/{ref}")
    async def change_task(ref: str, body: bodies.TaskChange, by: Who) -> Any:
        """Let a task wait for more tasks, set what it may cost or how urgent it is."""
        return await service.change_task(ref, body.sent(), by)

    @router.get("/{ref}/debug-bundle", response_class=StreamingResponse)
    async def debug_bundle(ref: str) -> Any:
        """All that is known of a task, without secrets, as a `.tar.gz` for somebody elsewhere."""
        name, file = await service.debug_bundle(ref)
        size = file.seek(0, SEEK_END)
        file.seek(0)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(size),
        }
        return StreamingResponse(_pieces(file), media_type="application/gzip", headers=headers)

    @router.get("/{ref}/diff")
    async def task_diff(ref: str) -> Any:
        """The change a task has made."""
        return await service.task_diff(ref)

    return router


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    """A file's bytes; it is closed at the end, also when nobody reads on."""
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


def _made(shape: Any, replayed: bool, where: str) -> Json:
    headers = {"Location": where}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return Json(shape, status_code=201, headers=headers)


def checkpoint_routes(service: Service) -> APIRouter:
    """The routes of the points that a task can go back to, bound to the counter."""
    router = APIRouter(prefix="/tasks/{ref}/checkpoints", tags=["checkpoints"])

    @router.get("")
    async def checkpoints(ref: str) -> Any:
        """A task's restorable points."""
        return await service.list_checkpoints(ref)

    @router.post("", status_code=201)
    async def take(ref: str, body: bodies.TakeCheckpoint | None = None, key: Key = None) -> Any:
        """Keep the work of a task as it is now, also while an agent is at it."""
        label = body.label if body else ""
        shape, replayed = await service.take_checkpoint(ref, label, key)
        return _made(shape, replayed, f"/api/tasks/{ref}/checkpoints")

    @router.post("/{n}/restore")
    async def restore(ref: str, n: int, by: Who) -> Any:
        """Put a task's work back to a checkpoint."""
        return await service.restore_checkpoint(ref, n, by)

    @router.post("/{n}/fork", status_code=201)
    async def fork(ref: str, n: int, body: bodies.Fork | None = None, key: Key = None) -> Any:
        """Make a task that begins as this one was at a checkpoint."""
        said = body.sent() if body else {}
        shape, replayed = await service.fork_task(ref, n, said, key)
        return _made(shape, replayed, f"/api/tasks/{shape['id']}")

    return router


def task_act_routes(service: Service) -> APIRouter:
    """The routes that act on one task, bound to the counter."""
    router = APIRouter(prefix="/tasks", tags=["tasks"])

    async def unchanged(ref: str, match: str | None) -> None:
        if match is None or match == "*":
            return
        now = await service.get_task(ref)
        if match != f'"{now["rev"]}"':
            raise ChangedMeanwhile(
                f"{now['label']} has changed since you looked", hint="read it again, then decide"
            )

    @router.post("/{ref}/cancel")
    async def cancel(ref: str, match: Match = None, key: Key = None) -> Any:
        """End a task."""
        await unchanged(ref, match)
        return await service.cancel_task(ref, key=key)

    @router.post("/{ref}/retry")
    async def retry(
        ref: str, by: Who, body: bodies.Retry | None = None, match: Match = None, key: Key = None
    ) -> Any:
        """Give a task a fresh set of attempts."""
        await unchanged(ref, match)
        return await service.retry_task(ref, body.note if body else "", by, key)

    @router.post("/{ref}/merge")
    async def merge(ref: str, by: Who, match: Match = None, key: Key = None) -> Any:
        """Merge a waiting task's work."""
        await unchanged(ref, match)
        return await service.merge_task(ref, by, key)

    @router.post("/{ref}/outcome")
    async def outcome(ref: str, body: bodies.Outcome, by: Who) -> Any:
        """Say whether a task's work was right; later confidences learn from it."""
        return await service.tell_outcome(ref, body.outcome, body.why, by.name)

    @router.post("/{ref}/approve")
    async def approve(ref: str, by: Who, match: Match = None, key: Key = None) -> Any:
        """Say go to a proposed task."""
        await unchanged(ref, match)
        return await service.approve_task(ref, by, key)

    return router
