"""Routes of agents: who works, what they write, and stopping them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse

from muster.api import bodies
from muster.api.parameters import Key, LastId, Limit, Offset, Who
from muster.api.streams import last_id, log_frames, stream
from muster.service.counter import Service


def agents_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter."""
    router = APIRouter(prefix="/agents", tags=["agents"])

    @router.get("")
    async def list_agents(
        task: str | None = None,
        status: str | None = None,
        limit: Limit = 100,
        after: str | None = None,
    ) -> Any:
        """Agents, newest first."""
        return await service.list_agents(task, status, limit, after)

    @router.get("/active")
    async def active_agents() -> Any:
        """Agents that work now."""
        return await service.active_agents()

    @router.get("/{agent_id}")
    async def get_agent(agent_id: str) -> Any:
        """One agent."""
        return await service.get_agent(agent_id)

    @router.get("/{agent_id}/logs", response_model=None)
    async def logs(
        agent_id: str,
        request: Request,
        offset: Offset = None,
        tail: Offset = None,
        limit: Annotated[int, Query(ge=1, le=1_048_576)] = 65_536,
        last: LastId = None,
    ) -> Any:
        """What an agent wrote: a page of JSON, or a live stream for `text/event-stream`."""
        if "text/event-stream" not in request.headers.get("accept", ""):
            return await service.agent_logs(agent_id, offset, limit, tail)
        await service.get_agent(agent_id)
        seen = last_id(last)
        start = seen if seen is not None else offset
        return stream(log_frames(service.follow_logs(agent_id, start)))

    @router.get("/{agent_id}/cassette", response_class=PlainTextResponse)
    async def cassette(agent_id: str) -> Any:
        """An ended agent's transcript as a cassette for `rehearsal`."""
        return PlainTextResponse(await service.cassette(agent_id))

    return router


def agent_act_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter."""
    router = APIRouter(prefix="/agents", tags=["agents"])

    @router.post("/spawn", status_code=202)
    async def spawn(body: bodies.Spawn, by: Who) -> Any:
        """Start an agent for a task that waits for a go or has ended."""
        task = await service.get_task(body.task)
        if task["status"] == "proposed":
            return await service.approve_task(task["id"], by)
        if task["status"] in {"failed", "cancelled"}:
            return await service.retry_task(task["id"], by=by)
        return task

    @router.post("/clean")
    async def clean() -> Any:
        """Clear away what is left of agents that have ended."""
        return await service.clear_away()

    @router.post("/{agent_id}/kill")
    async def kill(agent_id: str) -> Any:
        """Stop an agent and cancel its task."""
        return await service.kill_agent(agent_id)

    @router.post("/{agent_id}/send", status_code=202)
    async def send(agent_id: str, body: bodies.Word, by: Who, key: Key = None) -> Any:
        """Say something to an agent at work: in its running turn, else as its next."""
        return await service.tell_agent(agent_id, body.sent(), by.name, key)

    @router.post("/{agent_id}/retry")
    async def retry(agent_id: str, by: Who) -> Any:
        """Give the agent's task a fresh set of attempts."""
        agent = await service.get_agent(agent_id)
        return await service.retry_task(agent["task_id"], by=by)

    return router
