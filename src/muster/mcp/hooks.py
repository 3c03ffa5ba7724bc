"""The door for hooks of agent programs: asked before a file is changed, it keeps to locks.

Facts of Claude Code's hooks over HTTP (2.1.329): the body is what a hook's program would read on
its standard input; the answer's JSON decides. An answer that is an error, or does not come, decides
nothing: the work goes on, and the program says so.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from muster.domain.errors import Invalid, MusterError, NotFound
from muster.gate import AGENTS_HOOKS, CALLER
from muster.mcp.rates import Rates
from muster.service.counter import Service

LONGEST = 8_000_000
_PATHS = ("file_path", "notebook_path")
_NO_WORD: dict[str, Any] = {}


def hooks_route(service: Service) -> Route:
    """The route of the door."""
    rates = Rates()

    async def hear(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await _heard(service, rates, request))
        except MusterError as error:
            return JSONResponse(error.problem(), error.status)
        except ClientDisconnect:  # a program that was killed while it asked; nobody reads this
            return JSONResponse(_NO_WORD)

    return Route(AGENTS_HOOKS, hear, methods=["POST"], name="hooks")


async def _heard(service: Service, rates: Rates, request: Request) -> dict[str, Any]:
    agent = request.scope.get(CALLER)
    if agent is None:
        raise NotFound("only an agent at work has hooks", hint="use the token of an agent")
    rates.enter(agent)
    try:
        said = _document(await _body(request))
        path = _path(said)
        holder = await service.kept_from(agent, path) if path else None
    finally:
        rates.leave(agent)
    if holder is None:
        return _NO_WORD
    why = f"{holder} has locked this path; work on something else first, or try again later"
    verdict = {"permissionDecision": "deny", "permissionDecisionReason": why}
    return {"hookSpecificOutput": {"hookEventName": "PreToolUse", **verdict}}


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST:
            raise Invalid(f"the body has more than {LONGEST} bytes", hint="it decides nothing")
    return bytes(body)


def _document(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Invalid("the body is no JSON", hint="send what a hook is told") from error
    if not isinstance(said, dict):
        raise Invalid("the body is no JSON object", hint="send what a hook is told")
    return said


def _path(said: dict[str, Any]) -> str:
    """The file that a tool is about to change, or nothing."""
    given = said.get("tool_input")
    if said.get("hook_event_name") != "PreToolUse" or not isinstance(given, dict):
        return ""
    return next((p for p in map(given.get, _PATHS) if isinstance(p, str)), "")
