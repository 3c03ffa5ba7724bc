"""What every request gets before the gate: an id, and a line in the log where that is wanted."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

from muster.domain.about import about
from muster.gate_ends import App, Receive, Scope, Send

log = logging.getLogger("muster.access")

HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_LONGEST_PATH = 500


class Access:
    """An app in front of which each request has an id, which the log and the answer name."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request = _id_of(scope)
        with about(request=request):
            if scope["type"] == "http":
                await self._answered(scope, receive, send, request)
            else:
                await self._app(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send, request: str) -> None:
        status = 0

        async def named(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, request.encode())]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, named)
        finally:
            if log.isEnabledFor(logging.DEBUG):
                _tell(scope, status, round((time.perf_counter() - began) * 1000, 1))


def _id_of(scope: Scope) -> str:
    """The id that the caller gave, if it is one; else a new one."""
    for name, value in scope["headers"]:
        if name.lower() == HEADER and _SANE.fullmatch(value):
            return str(value.decode())
    return secrets.token_hex(8)


def _tell(scope: Scope, status: int, milliseconds: float) -> None:
    """Log a request; its path as it was sent, but never the query, which may hold a token.

    A status of 0 says that nothing was answered: who asked had gone.
    """
    method, path = scope["method"], scope["raw_path"].decode("latin-1")[:_LONGEST_PATH]
    with about(method=method, path=path, status=status, milliseconds=milliseconds):
        log.debug("%s %s %d in %s ms", method, path, status, milliseconds)
