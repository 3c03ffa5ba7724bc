"""The MCP door as the app knows it: light, until somebody comes.

The SDK takes more than a second of processor time to load, so that it is loaded, beside the loop,
by the first request.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from starlette.routing import Route

from muster.gate import AGENTS_DOOR, App, Receive, Scope, Send
from muster.service.counter import Service


class Door:
    """An ASGI app that becomes the SDK's server when it is first needed."""

    def __init__(self, service: Service, version: str) -> None:
        self._service = service
        self._version = version
        self._opening = asyncio.Lock()
        self._inside: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the gate has found out who calls."""
        inside = self._inside or await self._open()
        await inside(scope, receive, send)

    async def _open(self) -> App:
        async with self._opening:
            if self._inside is None:
                server: Any = await asyncio.to_thread(import_module, "muster.mcp.server")
                self._inside = server.make_app(self._service, self._version)
        return self._inside


def mcp_route(service: Service, version: str) -> Route:
    """The route of the door."""
    return Route(AGENTS_DOOR, Door(service, version), name="mcp")
