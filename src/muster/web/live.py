"""The one WebSocket of a tab: revisions of the page's parts, and an agent's output by offset."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from muster.domain.errors import MusterError
from muster.web.counter import Counter, Row
from muster.web.frames import Seen
from muster.web.views import Look, Views

PROTOCOL = "muster.v1"
BAD_HELLO, RESTART = 4400, 1012
HELLO_SECONDS = 10.0
IDLE_SECONDS = 20.0
RESTLESS_SECONDS = 1.0
GATHER_SECONDS = 0.02
"""Changes that come together are sent together."""
WINDOW = 256 * 1024
"""So many characters of output may be on their way to one tab."""
PIECE = 64 * 1024


class Output:
    """An agent's output on its way to one tab, never more than a window ahead of it."""

    def __init__(self, counter: Counter, agent: str, offset: int | None, tab: Tab) -> None:
        """Follow from an offset on, or from the last part."""
        self.agent = agent
        self._source = counter.follow_logs(agent, offset)
        self._tab = tab
        self._text: list[str] = []
        self._held = 0
        self._next = offset or 0
        self._on_the_way: list[tuple[int, int]] = []
        self._credit = asyncio.Event()

    def acked(self, offset: int) -> None:
        """The tab has drawn everything before this offset."""
        self._on_the_way = [(end, size) for end, size in self._on_the_way if end > offset]
        self._credit.set()

    async def run(self) -> None:
        """Send until the output ends or nobody wants it any more."""
        try:
            async with contextlib.aclosing(self._source) as source:  # type: ignore[type-var]
                await self._follow(source)
        except MusterError as error:
            await self._tab.send({"log": self.agent, "lost": error.detail})

    async def _follow(self, source: Any) -> None:
        pending: asyncio.Task[Any] = asyncio.ensure_future(anext(source, None))
        try:
            while True:
                # What is there already is sent together; only silence sends it early.
                done, _ = await asyncio.wait({pending}, timeout=0.01 if self._held else None)
                if not done or self._held >= PIECE:
                    await self._flush()
                    continue
                item = pending.result()
                if item is None:
                    break
                pending = asyncio.ensure_future(anext(source, None))
                await self._take(item)
            await self._flush()
        finally:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending

    async def _take(self, item: Row) -> None:
        match item["event"]:
            case "log":
                self._text.append(item["data"]["text"])
                self._held += len(item["data"]["text"])
                self._next = item["id"]
            case "truncated":
                await self._flush()
                self._next = item["id"]
                await self._tab.send({"log": self.agent, "gap": item["data"], "next": item["id"]})
            case "end":
                await self._flush()
                await self._tab.send({"log": self.agent, "end": item["data"]})

    async def _flush(self) -> None:
        if not self._held:
            return
        text, self._text, self._held = "".join(self._text), [], 0
        while sum(size for _, size in self._on_the_way) > WINDOW - PIECE:
            self._credit.clear()
            await self._credit.wait()
        self._on_the_way.append((self._next, len(text)))
        await self._tab.send({"log": self.agent, "next": self._next, "text": text})


class Tab:
    """One open page in one browser."""

    def __init__(self, socket: WebSocket, counter: Counter, views: Views, build: str) -> None:
        """Serve this socket."""
        self._socket = socket
        self._counter = counter
        self._views = views
        self._build = build
        self._sending = asyncio.Lock()
        self._seen = Seen({}, {})
        self._page: Mapping[str, Any] = {}
        self._visible = True
        self._stirred = asyncio.Event()
        self._drawn = asyncio.Event()
        self._frame = 0
        self._output: Output | None = None
        self._outputs: asyncio.Task[None] | None = None

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send one message; a tab that has gone is no fault."""
        async with self._sending:
            if self._socket.client_state is WebSocketState.CONNECTED:
                await self._socket.send_text(
                    json.dumps(message, ensure_ascii=False, separators=(",", ":"))
                )

    async def serve(self) -> None:
        """Speak with the tab until it goes."""
        if PROTOCOL not in self._socket.scope.get("subprotocols", []):
            await self._socket.close(BAD_HELLO)
            return
        await self._socket.accept(PROTOCOL)
        try:
            hello = await asyncio.wait_for(self._receive(), HELLO_SECONDS)
            self._greet(hello)
        except (TimeoutError, ValueError, KeyError, TypeError, AttributeError):
            await self._socket.close(BAD_HELLO)
            return
        except WebSocketDisconnect:
            return
        frames = asyncio.create_task(self._frames())
        try:
            while True:
                self._hear(await self._receive())
        except WebSocketDisconnect:
            return
        except (ValueError, KeyError, TypeError):  # no message that a page sends
            await self._socket.close(BAD_HELLO)
        finally:
            await _ended(frames)
            await _ended(self._outputs)

    async def _receive(self) -> dict[str, Any]:
        message = json.loads(await self._socket.receive_text())
        if not isinstance(message, dict):
            raise ValueError("a message is an object")
        return message

    def _greet(self, hello: Mapping[str, Any]) -> None:
        self._page = hello["page"]
        self._visible = bool(hello.get("visible", True))
        self._seen = Seen(
            {str(k): str(v) for k, v in self._page.get("have", {}).items()},
            {str(k): [str(i) for i in v] for k, v in self._page.get("lists", {}).items()},
        )
        self._seen.shape = str(self._page.get("shape", ""))
        self._seen.title = str(self._page.get("title", ""))
        for channel in hello.get("channels", []):
            kind, _, rest = str(channel).partition(":")
            if kind == "log":
                agent, _, offset = rest.rpartition(":")
                self._listen(agent, int(offset))

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "ack" in message and message["ack"] == self._frame:
            self._drawn.set()
        if "visible" in message:
            self._visible = bool(message["visible"])
            self._stirred.set()
        if "page" in message:
            if not isinstance(message["page"], dict):
                raise ValueError("a page is an object")
            self._page = message["page"]
            self._stirred.set()
        if "logack" in message and self._output is not None:
            self._output.acked(int(message["logack"]))
        if "log" in message:
            wanted = message["log"]
            self._listen(str(wanted["agent"]), int(wanted["offset"])) if wanted else self._hush()
        if "ping" in message:
            self._answer(message["ping"])

    def _answer(self, ping: Any) -> None:
        # Not awaited here, so that a slow tab never keeps its own messages from being heard.
        pong = {"pong": ping, "rev": self._views.replica.rev}
        self._pongs = asyncio.ensure_future(self.send(pong))

    def _hush(self) -> None:
        if self._outputs is not None:
            self._outputs.cancel()
        self._output = None

    def _listen(self, agent: str, offset: int) -> None:
        self._hush()
        self._output = Output(self._counter, agent, max(0, offset), self)
        self._outputs = asyncio.create_task(self._output.run())

    async def _frames(self) -> None:
        """Send what changed, one frame at a time; the next one waits until the last is drawn."""
        if self._page.get("build") not in (None, self._build):
            await self.send({"id": self._views.replica.rev, "ops": [["reload"]]})
            return
        await self._views.replica.read_projects()
        while True:
            # Before looking: what stirs the tab from here on is looked at in the next round.
            self._stirred.clear()
            try:
                look = await self._look()
            except MusterError:
                # What the page is about has gone; loading it again says so.
                await self.send({"id": self._views.replica.rev, "ops": [["reload"]]})
                return
            operations = self._seen.operations(look, self._visible)
            if operations:
                self._frame = look.rev
                self._drawn.clear()
                await self.send({"id": look.rev, "ops": operations})
                await self._drawn.wait()
            await self._pause(look)

    async def _look(self) -> Look:
        query = {str(k): str(v) for k, v in dict(self._page.get("query", {})).items()}
        return await self._views.look(
            str(self._page.get("name", "")), query, str(self._page.get("ref", ""))
        )

    async def _pause(self, look: Look) -> None:
        """Wait for the next change, for the tab to be looked at again, or for figures to settle."""
        seconds = RESTLESS_SECONDS if look.restless else IDLE_SECONDS
        waits = (
            asyncio.ensure_future(self._counter.wait_change(look.rev, seconds)),
            asyncio.ensure_future(self._stirred.wait()),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        await asyncio.sleep(GATHER_SECONDS)


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await task
