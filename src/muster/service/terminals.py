"""The counter's part for those who look at an agent's terminal, and the one who writes there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from muster.domain.agent import LIVE
from muster.domain.errors import Conflict, Refused
from muster.domain.plain import plain_line
from muster.service.agents import Agents, end_shape
from muster.service.terminal import Message, Viewer
from muster.store import agents

_LONGEST_NAME = 80


class Seat(Protocol):
    """A place in front of an agent's terminal."""

    def messages(self) -> AsyncIterator[Message]:
        """What is to be told: output with the offset behind it, who writes, how it ended."""
        ...

    def take(self, *, over: bool) -> None:
        """Write from now on, if nobody does; `over`: whoever does."""
        ...

    async def type(self, data: bytes) -> None:
        """Press these keys.

        Raises:
            Conflict: another writes, or there is no terminal.
            Refused: the terminal has gone.
        """
        ...

    async def resize(self, columns: int, rows: int) -> None:
        """Give the terminal the writer's size.

        Raises:
            Conflict: another writes, or there is no terminal.
            Refused: the terminal has gone.
        """
        ...


class LogSeat:
    """Where there is no terminal: the log, which nobody writes into."""

    def __init__(self, source: AsyncIterator[dict[str, Any]], why: str) -> None:
        """Tell this log; `why` there is no more than that."""
        self._source = source
        self._why = why

    async def messages(self) -> AsyncIterator[Message]:
        """The log from its offset on."""
        yield {"screen": None}
        yield {"writer": None, "writing": False}
        async for item in self._source:
            match item["event"]:
                case "log":
                    yield {"output": item["data"]["text"], "next": item["id"]}
                case "truncated":
                    yield {"gap": item["data"], "next": item["id"]}
                case "end":
                    yield {"end": item["data"]}

    def take(self, *, over: bool) -> None:
        """There is nothing to take."""

    async def type(self, data: bytes) -> None:
        """Refuse it."""
        del data
        raise Conflict(self._why, hint="muster agent logs --follow shows what it says")

    async def resize(self, columns: int, rows: int) -> None:
        """A log has no size."""


class ScreenSeat:
    """In front of a screen that others may look at too."""

    def __init__(self, viewer: Viewer, last: Callable[[], Awaitable[Message]]) -> None:
        """Be this viewer; `last` is what is told when the screen has gone."""
        self._viewer = viewer
        self._last = last
        self.take = viewer.take
        self.type = viewer.type
        self.resize = viewer.resize

    async def messages(self) -> AsyncIterator[Message]:
        """What the viewer is told, and how it ended."""
        with contextlib.suppress(Refused):  # it may go while its picture is taken
            async for message in self._viewer.messages():
                yield message
        yield await self._last()


class Terminals(Agents):
    """Everything a door can ask about agents' terminals."""

    @asynccontextmanager
    async def terminal(
        self, agent_id: str, who: str, name: str = "", offset: int | None = None
    ) -> AsyncIterator[Seat]:
        """A seat in front of an agent's terminal, or of its log where there is none.

        `offset` is the last `next` that was heard, of the screen of this `name`; without it a
        screen is drawn anew, and a log begins with its last part.

        Raises:
            NotFound: there is no such agent.
        """
        agent = await self._store.read(agents.get_agent, agent_id)
        run, screens = self._run(agent.id), self._own.screens
        alive = agent.status in LIVE and await asyncio.to_thread(run.alive)
        if not screens.shown_by(agent.runtime) or not alive:
            why = "has no terminal" if alive else "runs no more"
            log_offset = None if name else offset
            yield LogSeat(self.follow_logs(agent.id, log_offset), f"{agent.id} {why}")
            return
        label = plain_line(who)[:_LONGEST_NAME] or "somebody"
        async with screens.look(run.path, agent.runtime, label, name, offset) as viewer:
            yield ScreenSeat(viewer, lambda: self._how_it_ended(agent.id))

    async def _how_it_ended(self, agent_id: str) -> Message:
        agent = await self._store.read(agents.get_agent, agent_id)
        if agent.status in LIVE:
            return {"lost": "the terminal has gone; the agent goes on"}
        return {"end": end_shape(agent)}
