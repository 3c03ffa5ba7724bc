"""The tools of a manager at work: on its own workers, by the names that it gave them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from muster.mcp import agent_tools
from muster.mcp.agent_tools import WAIT, agent_of
from muster.mcp.base import Arguments, Caller, Nothing, Tool
from muster.service.counter import Service

_SHARED = ("claim_work", "report_progress", "ask_person", "finish", "search_context", "emit_event")


class Errand(Arguments):
    """What a worker is to do."""

    id: str = Field(description="a short name of your own, as parser; the same is the same worker")
    prompt: str = Field(description="the whole task: what to do, where, how one sees it is done")
    title: str | None = Field(None, description="a short name for people")
    type: str | None = Field(
        None, description="feature, bug, refactor, test, documentation or chore"
    )
    after: list[str] | None = Field(None, description="ids of workers that must complete first")
    agent: str | None = Field(None, description="another agent than your own, if there is one")
    paths: list[str] | None = Field(None, description="patterns the work should stay within")


class Named(Arguments):
    """One worker."""

    id: str = Field(description="the id that you gave it")


class Log(Named):
    """The end of what a worker wrote."""

    bytes: int | None = Field(None, ge=1, le=16_000, description="16000 unless said")


class Wait(Arguments):
    """What to wait for."""

    seen: int | None = Field(
        None, description="`seen` of an earlier answer: any move after it counts as well"
    )
    wait_seconds: float | None = Field(
        None, ge=0, le=300, description=f"how long at most; {WAIT:g} unless said"
    )


class Again(Named):
    """Another try."""

    note: str = Field(description="what the worker should do differently")


async def _spawn(service: Service, caller: Caller, given: Errand) -> dict[str, Any]:
    body = {name: value for name, value in given.sent().items() if value is not None}
    return await service.spawn_worker(agent_of(caller), body, caller.key)


async def _list(service: Service, caller: Caller, _given: Nothing) -> dict[str, Any]:
    return await service.list_workers(agent_of(caller))


async def _wait(service: Service, caller: Caller, given: Wait) -> dict[str, Any]:
    wait = WAIT if given.wait_seconds is None else given.wait_seconds
    return await service.wait_for_workers(agent_of(caller), given.seen, wait)


async def _result(service: Service, caller: Caller, given: Named) -> dict[str, Any]:
    return await service.worker_result(agent_of(caller), given.id)


async def _log(service: Service, caller: Caller, given: Log) -> dict[str, Any]:
    return await service.worker_log(agent_of(caller), given.id, given.bytes or 16_000)


async def _again(service: Service, caller: Caller, given: Again) -> dict[str, Any]:
    return await service.retry_worker(agent_of(caller), given.sent(), caller.key)


async def _cancel(service: Service, caller: Caller, given: Named) -> dict[str, Any]:
    return await service.cancel_worker(agent_of(caller), given.id, caller.key)


TOOLS = (
    *(tool for tool in agent_tools.TOOLS if tool.name in _SHARED),
    Tool(
        "spawn_worker",
        "Spawn a worker",
        "Have a worker of muster do a task of its own: in its own workspace, judged and merged like"
        " any task. Calling it again with the same id and prompt gives the same worker.",
        Errand,
        _spawn,
    ),
    Tool(
        "list_workers",
        "List workers",
        "Your workers with their states, and what a person is asked about them.",
        Nothing,
        _list,
        reads=True,
    ),
    Tool(
        "wait_for_workers",
        "Wait for workers",
        "Wait until none of your workers is at work, or, with `seen`, until one has moved. Answers"
        " all of them; call it again while `at_work` is not empty.",
        Wait,
        _wait,
        reads=True,
    ),
    Tool(
        "worker_result",
        "Read a result",
        "How the work of a worker was judged, finding by finding, and what it said of it itself.",
        Named,
        _result,
        reads=True,
    ),
    Tool(
        "worker_log",
        "Read a log",
        "The end of what a worker's program wrote.",
        Log,
        _log,
        reads=True,
    ),
    Tool(
        "retry_worker",
        "Try again",
        "Set a worker that has failed or was cancelled to work again, and tell it what to do"
        " differently.",
        Again,
        _again,
    ),
    Tool(
        "cancel_worker",
        "End a worker",
        "End a worker and every process of it; what it has merged stays.",
        Named,
        _cancel,
    ),
)
