"""A whole house with its doors on a real port, agents that hold still, and the SDK's own client."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp

from engine.houses import Town, shell, town
from house.patience import PATIENCE
from house.ports import free_port
from muster.api.app import make_app
from muster.gate import Gate, Session
from muster.mcp.door import mcp_route
from muster.mcp.hooks import hooks_route

TOKEN = "t" * 43
HOLDS = (
    "echo $MUSTER_TOKEN > $HELD/$MUSTER_TASK.part; mv $HELD/$MUSTER_TASK.part $HELD/$MUSTER_TASK;"
    " while [ ! -e $HELD/$MUSTER_TASK.go ]; do sleep 0.05; done; echo x > new-$MUSTER_TASK.txt"
)


class Street:
    """A house behind its gate, answering on one port, and taken up again on it."""

    def __init__(self, place: Town, held: Path) -> None:
        self.place = place
        self.held = held
        self.port = free_port()
        self._server: uvicorn.Server | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def doors(self, _session: Session) -> ASGIApp:
        """All doors but the pages."""
        service = self.place.service
        app = make_app(service, "0")
        app.router.routes += [mcp_route(service, "0"), hooks_route(service)]
        return app

    async def open(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        service = self.place.service
        session = Session(TOKEN, tokens=service)
        gate = Gate(self.doors(session), TOKEN, session, (), self.port, service)
        self.place.house.tools.url = self.url
        config = uvicorn.Config(
            gate, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._running = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def close(self) -> None:
        assert self._server
        assert self._running
        self._server.should_exit = True
        await self._running

    @property
    def requests(self) -> int:
        """How many requests are being answered."""
        assert self._server
        return len(self._server.server_state.tasks)

    async def restart(self) -> None:
        """Another server on the same home and port."""
        await self.close()
        await self.place.restart()
        await self.open()

    async def hire(self, description: str = "do it", **body: Any) -> tuple[dict[str, Any], str]:
        """A task with an agent at work on it, and that agent's token."""
        made = await self.place.submit("holds", description, type="chore", **body)
        return made, await self.token(made["label"])

    async def token(self, label: str) -> str:
        path = self.held / label
        async with asyncio.timeout(PATIENCE):
            while not path.exists():
                await asyncio.sleep(0.02)
        return path.read_text().strip()

    async def let_go(self, task: dict[str, Any]) -> dict[str, Any]:
        """Let a task's agent end; the task at its end."""
        (self.held / f"{task['label']}.go").touch()
        return await self.place.until(task["id"])

    @asynccontextmanager
    async def client(self, token: str, mode: str = "auto", **headers: str) -> AsyncIterator[Client]:
        """The SDK's own client over streamable HTTP."""
        given = {"Authorization": f"Bearer {token}", **headers}
        # Nobody's certificates are read: that takes longer than most tests ask.
        async with httpx2.AsyncClient(headers=given, timeout=60, verify=False) as http:
            transport = streamable_http_client(f"{self.url}/mcp", http_client=http)
            async with Client(transport, mode=mode, cache=None) as client:
                yield client

    @asynccontextmanager
    async def program(self, token: str, mode: str = "auto") -> AsyncIterator[Client]:
        """The SDK's own client over stdio, with `muster mcp` as the program it starts."""
        env = {
            "MUSTER_URL": self.url,
            "MUSTER_TOKEN": token,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "MUSTER_HOME": str(self.place.home),
        }
        started = StdioServerParameters(
            command=sys.executable, args=["-m", "muster", "mcp"], env=env
        )
        async with Client(started, mode=mode, cache=None) as client:
            yield client


@asynccontextmanager
async def street(
    root: Path,
    more: Mapping[str, Mapping[str, Any]] = {},
    kind: type[Street] = Street,
    **project: Any,
) -> AsyncIterator[Street]:
    """A street with one house, whose agents are `holds` and `more`."""
    held = root / "held"
    held.mkdir()
    agents = {"holds": shell(HOLDS, env={"HELD": str(held)}), **more}
    given = {"autonomy": "confirm", "test_command": "true", **project}
    async with town(root, agents, **given) as place:
        made = kind(place, held)
        await made.open()
        try:
            yield made
        finally:
            await made.close()


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that succeeds; what it answers."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    assert answer.structured_content is not None
    return answer.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that refuses; its problem."""
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer.structured_content
    problem = answer.structured_content
    assert problem is not None
    assert problem["detail"]
    assert problem["hint"]
    return problem
