"""The MCP door as the app knows it: light, until somebody comes.

The SDK takes more than a second of processor time to load, so that it is loaded, beside the loop,
by the first request.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from starlette.routing import Route
from starlette.types import ASGIApp

from muster.gate import AGENTS_DOOR
from muster.late import Late
from muster.service.counter import Service


def mcp_route(service: Service, version: str) -> Route:
    """The route of the door; the gate has found out who calls."""

    def make() -> ASGIApp:
        server: Any = import_module("muster.mcp.server")
        app: ASGIApp = server.make_app(service, version)
        return app

    return Route(AGENTS_DOOR, Late(make), name="mcp")
