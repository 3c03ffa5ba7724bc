"""A house whose agent can be talked to, and those who look at its terminal over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from engine.houses import shell, town
from house.patience import PATIENCE
from mcp_door.streets import TOKEN, Street
from muster.agents.command import CommandDriver

TALKS = (
    "printf 'red \\033[31mé\\033[0m \\033]52;c;aGVsbG8=\\007\\033[2Jready\\n';"
    ' while read line; do echo "got $line"; [ "$line" = bye ] && exit 3; done'
)


class Talks(CommandDriver):
    """A program that hears what is typed."""

    def launch(self, job):
        return replace(super().launch(job), interactive=True, stdin=b"")


class Looker:
    """One who looks at a terminal."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []

    @property
    def shown(self) -> str:
        told = (m.get("output", "\n".join(m.get("picture", []))) for m in self.messages)
        return "".join(told)

    @property
    def last(self) -> dict[str, Any]:
        return self.messages[-1] if self.messages else {}

    @property
    def next(self) -> int:
        return max(m["next"] for m in self.messages if "next" in m)

    @property
    def name(self) -> str:
        return next(m["screen"] for m in self.messages if "screen" in m)

    @property
    def writer(self) -> tuple[str | None, bool]:
        return next((m["writer"], m["writing"]) for m in self.messages[::-1] if "writer" in m)

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                self.messages.append(json.loads(await self.socket.recv()))

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.shown)

    async def refused(self) -> dict[str, Any]:
        await self.until(lambda: "error" in self.last)
        return self.messages[-1]["error"]

    async def wish(self, **wish: Any) -> None:
        await self.socket.send(json.dumps(wish))


class Place:
    """A street with an agent at work, and the way to its terminal."""

    def __init__(self, street: Street, task: dict[str, Any], agent: str) -> None:
        self.street = street
        self.task = task
        self.agent = agent

    @property
    def run_dir(self) -> Path:
        return self.street.place.run_dir(self.agent)

    def address(self, agent: str = "", **query: object) -> str:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        host = self.street.url.removeprefix("http")
        return f"ws{host}/api/agents/{agent or self.agent}/terminal?{asked}"

    @asynccontextmanager
    async def look(self, **query: object) -> AsyncIterator[Looker]:
        async with enter(self.address(**query)) as socket:
            yield Looker(socket)


def enter(address: str, token: str = TOKEN, **more: Any) -> connect:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return connect(address, additional_headers={**headers, **more}, proxy=None)


@asynccontextmanager
async def working(home: Path, script: str, runtime: str) -> AsyncIterator[Place]:
    agents = {"talks": {**shell(script), "driver": "talks"}}
    async with town(home, agents, runtime=runtime, test_command="true") as made:
        made.house.tools.drivers["talks"] = Talks()
        street = Street(made, home)
        await street.open()
        try:
            task = await made.submit("talks", type="chore")
            async with asyncio.timeout(PATIENCE):
                while not (agents := (await made.service.active_agents())["items"]) or (
                    not (made.run_dir(agents[0]["id"]) / "out").exists()
                ):
                    await asyncio.sleep(0.02)
            yield Place(street, task, agents[0]["id"])
        finally:
            await street.close()
