"""The web door with a plain API beside it, served on loopback as a real server serves it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from house.patience import PATIENCE
from house.ports import free_port
from muster.domain.errors import MusterError
from muster.web.app import routes
from web.fleet import FakeFleet, FakeSession

Act = Callable[[Request, dict[str, Any]], Awaitable[Any]]


def _answering(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if request.method != "GET" and request.headers.get("x-csrf-token") != "csrf-of-signed-in":
            return JSONResponse({"detail": "the page's own mark is missing"}, 403)
        body = await request.json() if request.method != "GET" else {}
        try:
            return JSONResponse(await act(request, body))
        except MusterError as error:
            return JSONResponse(error.problem(), error.status)

    return answer


def api(fleet: FakeFleet) -> list[Route]:
    """The few routes that pages act through."""

    async def resolve(request: Request, body: dict[str, Any]) -> Any:
        id = request.path_params["id"]
        return await fleet.resolve_breakpoint(id, body["answer"], body.get("note", ""))

    async def create(request: Request, body: dict[str, Any]) -> Any:
        return await fleet.create_task(body, request.headers.get("idempotency-key"))

    async def cancel(request: Request, body: dict[str, Any]) -> Any:
        return await fleet.cancel_task(request.path_params["id"])

    async def restore(request: Request, body: dict[str, Any]) -> Any:
        return await fleet.restore_checkpoint(
            request.path_params["id"], int(request.path_params["n"])
        )

    async def send(request: Request, body: dict[str, Any]) -> Any:
        key = request.headers.get("idempotency-key")
        return await fleet.tell_agent(request.path_params["id"], body, key)

    async def settings(request: Request, body: dict[str, Any]) -> Any:
        return await fleet.set_queue(body)

    async def project(request: Request, body: dict[str, Any]) -> Any:
        return await fleet.change_project(request.path_params["id"], body)

    async def logs(request: Request, body: dict[str, Any]) -> Any:
        offset, limit = (int(request.query_params[n]) for n in ("offset", "limit"))
        return await fleet.agent_logs(request.path_params["id"], offset, limit)

    acts: list[tuple[str, str, Act]] = [
        ("POST", "/api/breakpoints/{id}/resolve", resolve),
        ("POST", "/api/tasks", create),
        ("POST", "/api/tasks/{id}/cancel", cancel),
        ("POST", "/api/tasks/{id}/checkpoints/{n}/restore", restore),
        ("POST", "/api/agents/{id}/send", send),
        ("POST", "/api/queue/settings", settings),
        ("PATCH", "/api/projects/{id}", project),
        ("GET", "/api/agents/{id}/logs", logs),
    ]
    return [Route(path, _answering(act), methods=[method]) for method, path, act in acts]


def make_app(fleet: FakeFleet) -> Starlette:
    """Pages and acts over one fleet."""
    return Starlette(routes=[*routes(fleet, FakeSession()), *api(fleet)])


class Served:
    """A running server, and a way to change its fleet from another thread."""

    def __init__(self, fleet: FakeFleet, port: int = 0) -> None:
        self.fleet = fleet
        self._config = uvicorn.Config(
            make_app(fleet),
            log_level="error",
            lifespan="off",
            ws="websockets-sansio",
        )
        self._server = uvicorn.Server(self._config)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.port = port or free_port()

    def _run(self) -> None:
        async def main() -> None:
            self.loop = asyncio.get_running_loop()
            with socket.socket() as listening:
                # Bound here, so that connecting works from now on and nobody has to ask again.
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.bind(("127.0.0.1", self.port))
                listening.listen(128)
                self._ready.set()
                await self._server.serve(sockets=[listening])

        asyncio.run(main())

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        assert self.port

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(PATIENCE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def do(self, change: Callable[[], Any]) -> Any:
        """Change the fleet in the server's own thread."""

        async def run() -> Any:
            return change()

        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


@contextmanager
def served(fleet: FakeFleet, port: int = 0) -> Iterator[Served]:
    """Serve a fleet for as long as the block runs."""
    server = Served(fleet, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
