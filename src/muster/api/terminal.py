"""The WebSocket of an agent's terminal: output by offset for all, keys and size from one."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from muster.api.parameters import who
from muster.domain.errors import Invalid, MusterError
from muster.service.counter import Service
from muster.service.terminals import Seat

REFUSED, OVER, LOST = 4404, 1000, 1012
_LARGEST = 1000
_MOST_KEYS = 65_536
_LONGEST_OFFSET = 18


def terminal_routes(service: Service) -> APIRouter:
    """The route, bound to the counter."""
    router = APIRouter(prefix="/agents", tags=["agents"])

    @router.websocket("/{agent_id}/terminal")
    async def terminal(socket: WebSocket, agent_id: str) -> None:
        """Show an agent's terminal, and take what its one writer types."""
        await socket.accept()
        given = socket.query_params
        try:
            by = who(socket)
            label = by.name if by.token_id else given.get("name", "")
            seat = service.terminal(agent_id, label, given.get("screen", ""), _offset(given))
            async with seat as taken:
                await _Conversation(socket, taken).serve(given)
        except MusterError as error:
            await _hang_up(socket, REFUSED, {"error": error.problem()})

    return router


class _Conversation:
    """One who looks, over one socket."""

    def __init__(self, socket: WebSocket, seat: Seat) -> None:
        self._socket = socket
        self._seat = seat
        self._sending = asyncio.Lock()

    async def serve(self, given: Mapping[str, str]) -> None:
        """Tell and hear until the terminal or the other side has gone."""
        if given.get("write") in {"yes", "over"}:
            self._seat.take(over=given.get("write") == "over")
        both = [asyncio.create_task(self._tell()), asyncio.create_task(self._hear())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            ended = await asyncio.gather(*both, return_exceptions=True)
        for fault in ended:
            if isinstance(fault, Exception) and not isinstance(fault, WebSocketDisconnect):
                raise fault

    async def _tell(self) -> None:
        message: Mapping[str, Any] = {}
        async for message in self._seat.messages():
            await self._send(message)
        await _hang_up(self._socket, LOST if "lost" in message else OVER)

    async def _send(self, message: Mapping[str, Any]) -> None:
        async with self._sending:
            await self._socket.send_text(json.dumps(message, ensure_ascii=False))

    async def _hear(self) -> None:
        while (said := await self._socket.receive())["type"] == "websocket.receive":
            try:
                if said.get("bytes") is not None:
                    await self._keys(said["bytes"])
                else:
                    await self._wish(said["text"])
            except MusterError as error:
                await self._send({"error": error.problem()})

    async def _keys(self, data: bytes) -> None:
        if len(data) > _MOST_KEYS:
            raise Invalid(
                f"{len(data)} bytes are too many keys at once", hint=f"send at most {_MOST_KEYS}"
            )
        await self._seat.type(data)

    async def _wish(self, text: str) -> None:
        try:
            wish = json.loads(text)
        except (ValueError, RecursionError):
            wish = None
        match wish:
            case {"size": [int(columns), int(rows)]} if _fits(columns) and _fits(rows):
                await self._seat.resize(columns, rows)
            case {"write": "yes" | "over" as how}:
                self._seat.take(over=how == "over")
            case _:
                raise Invalid(
                    "that is no wish of a terminal",
                    hint='send keys as bytes, or {"size": [COLUMNS, ROWS]} or {"write": "over"}',
                )


def _fits(length: int) -> bool:
    return not isinstance(length, bool) and 1 <= length <= _LARGEST


def _offset(given: Mapping[str, str]) -> int | None:
    text = given.get("offset", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_OFFSET:
        raise Invalid("offset must be an unsigned number", hint="send back a 'next' as it came")
    return int(text)


async def _hang_up(socket: WebSocket, code: int, message: Mapping[str, Any] | None = None) -> None:
    """Close it, with a last word; whoever has gone already needs neither."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        if socket.application_state is WebSocketState.CONNECTED:
            if message is not None:
                await socket.send_text(json.dumps(message))
            await socket.close(code)
