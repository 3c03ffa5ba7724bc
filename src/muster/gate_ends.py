"""What is open while a person's token ends: a socket is closed, a stream cut, a request answered.

The app is told that the other side has gone, and nothing more of it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SIGNED_OUT = 4401


async def until_ended(
    app: App, scope: Scope, receive: Receive, send: Send, ended: Coroutine[Any, Any, None]
) -> None:
    """Serve one request or socket of a person, no longer than their token opens anything.

    A request that was taken before is still answered, unless its answer is a stream.
    """
    watch = asyncio.create_task(ended)
    try:
        await _Open(scope["type"] == "websocket", receive, send, watch).serve(app, scope)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


class _Open:
    """What is open: how far it has come, and whether it may go on."""

    def __init__(
        self, is_socket: bool, receive: Receive, send: Send, watch: asyncio.Task[None]
    ) -> None:
        self._is_socket = is_socket
        self._receive = receive
        self._send = send
        self._watch = watch
        self._heard_all = False
        self._begun = False
        self._closed = False

    async def serve(self, app: App, scope: Scope) -> None:
        """Have the app serve it; what the token's end took from it is ended here."""
        await app(scope, self.receive, self.send)
        if self._begun and self._watch.done():
            await self._cut()

    async def _cut(self) -> None:
        """Say the last word, once."""
        if self._closed:
            return
        self._closed = True
        if self._is_socket:
            reason = "the token was revoked or has expired"
            await self._send({"type": "websocket.close", "code": SIGNED_OUT, "reason": reason})
        else:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def receive(self) -> Message:
        """What comes in; that the other side has gone, once the token has ended."""
        if not self._is_socket and not self._heard_all:
            message = await self._receive()
            self._heard_all = not message.get("more_body", False)
            return message
        coming = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait({coming, self._watch}, return_when=asyncio.FIRST_COMPLETED)
            if self._watch.done() and (self._is_socket or self._begun):
                return self._gone()
            return await coming
        finally:
            coming.cancel()

    def _gone(self) -> Message:
        if self._is_socket:
            return {"type": "websocket.disconnect", "code": SIGNED_OUT}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """What goes out; nothing more of what is open, once the token has ended."""
        kind = message["type"]
        last = kind == "http.response.body" and not message.get("more_body", False)
        if self._watch.done() and self._begun and not last:
            await self._cut()
            return
        self._begun = self._begun or kind in {"websocket.accept", "http.response.start"}
        self._closed = self._closed or last or kind == "websocket.close"
        await self._send(message)
