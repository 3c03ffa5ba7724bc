"""The server: one process with the engine, the doors and the gate in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import shutil
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.responses import JSONResponse
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from muster import __version__
from muster.access import Access
from muster.domain.errors import Invalid, Refused, Unavailable
from muster.failpoint import arm
from muster.gate import Gate, Session
from muster.late import Late
from muster.mcp.door import mcp_route
from muster.mcp.hooks import hooks_route
from muster.service.counter import Service
from muster.settings import Settings, environment, load
from muster.whole_file import write_whole
from muster.wiring.home import key_of, only_one, port_before, prepare_home, token_of
from muster.wiring.house import House
from muster.wiring.log_file import LogFile
from muster.wiring.logs import log_to_stderr
from muster.wiring.manager import Manager
from muster.wiring.view import take_view

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger("muster.wiring")

_HEALTH = "/api/health"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SPEAKER = "uvicorn.protocols.websockets.websockets_sansio_impl"
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (only compared with)
_NEAR = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (only compared with)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        Unavailable: the port is taken or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, because asyncio sends small answers at once only when it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"{host}:{port} cannot be listened on: {error.strerror}",
            hint="stop what uses it, or choose another: muster up --port 0 takes any free one",
        ) from error
    return listener


def _listen_again(settings: Settings) -> socket.socket:
    """Where it is wanted; a free port is the one of the server before, which agents know, or new.

    Raises:
        Unavailable: as `listen`.
    """
    if settings.port:
        return listen(settings.host, settings.port)
    if before := port_before(settings.home):
        with contextlib.suppress(Unavailable):
            return listen(settings.host, before)
    listener = listen(settings.host, 0)
    write_whole(settings.home / "port", f"{listener.getsockname()[1]}\n".encode())
    return listener


def serve(
    home: Path,
    host: str | None = None,
    port: int | None = None,
    allow_hosts: tuple[str, ...] = (),
) -> int:
    """Run the server until it is told to stop; the exit code.

    Raises:
        MusterError: it cannot start; the message says why and what to do.
    """
    environ = environment()
    arm(environ.get("MUSTER_FAILPOINTS", ""))
    prepare_home(home)
    settings = load(home, environ, host=host, port=port)
    if shutil.which("git", path=environ.get("PATH")) is None:
        raise Refused("git is not installed", hint="install git 2.38 or newer, then start again")
    allowed = (*settings.allowed_hosts, *allow_hosts)
    if settings.host not in _LOOPBACK and not allowed:
        raise Invalid(
            f"{settings.host} is not a loopback address",
            hint="name the hosts it may be called by: muster up --host ADDRESS --allow-host NAME",
        )
    token_of(home)  # before the log begins, which must not tell it
    key_of(home)
    file = log_to_stderr(settings)
    if settings.host not in _LOOPBACK | _WILDCARDS:
        allowed = (*allowed, settings.host)
    with only_one(home):
        works = take_view(settings)
        listener = _listen_again(settings)
        try:
            return asyncio.run(_serve(settings, listener, allowed, works, file))
        finally:
            listener.close()
            (home / "server.json").unlink(missing_ok=True)


async def _serve(
    settings: Settings,
    listener: socket.socket,
    allowed: tuple[str, ...],
    works: str,
    file: LogFile | None,
) -> int:
    token = token_of(settings.home)
    house = House(settings, works)
    bound = listener.getsockname()
    url = f"http://{_called(bound[0])}:{bound[1]}"
    session = Session(token, tokens=house.service)
    app = _Doors(house.service, session)
    manager = Manager(settings.environ)
    server = _Server(
        uvicorn.Config(
            Access(Gate(app, token, session, allowed, bound[1], house.service)),
            log_config=None,  # its lines go where all others go
            log_level=None,  # and have the level that the settings name
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
            ws=_websocket,  # type: ignore[arg-type]
            ws_max_size=1_000_000,
        ),
        manager,
        url,
    )
    house.tools.url = url
    house.tools.key = key_of(settings.home)
    await house.start()
    # What is here now stays; the collector need not look at it again.
    gc.freeze()
    write_whole(
        settings.home / "server.json",
        json.dumps({"url": url, "pid": os.getpid(), "version": __version__}).encode(),
    )
    if settings.log_format == "json":
        log.info("muster %s listens on %s", __version__, url)
    else:
        sys.stderr.write(f"muster {__version__} listens on {url}\n")
        sys.stderr.flush()
    _hear_signals(server, file)
    try:
        await server.serve(sockets=[listener])
    finally:
        await house.stop()
        await manager.let_go()
    return 0


def _called(address: str) -> str:
    """What this machine's own programs, agents among them, call the server by."""
    near = _NEAR.get(address, address)
    return f"[{near}]" if ":" in near else near


class _Server(uvicorn.Server):
    """The HTTP server; it tells the service manager when it answers and when it ends."""

    def __init__(self, config: uvicorn.Config, manager: Manager, url: str) -> None:
        super().__init__(config)
        self._manager = manager
        self._url = url

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._manager.ready(f"listens on {self._url}")

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was asked, and nothing new."""
        self._manager.stopping()
        await super().shutdown(sockets)


def _websocket(*args: Any, **more: Any) -> asyncio.Protocol:
    """A connection that has become a WebSocket; most servers start without one."""
    speaker: Any = import_module(_SPEAKER)
    made: asyncio.Protocol = speaker.WebSocketsSansIOProtocol(*args, **more)
    return made


class _Doors:
    """Whether muster works is told at once; the other doors are made when one is first opened."""

    def __init__(self, service: Service, session: Session) -> None:
        self._service = service
        self._others = Late(lambda: _make_doors(service, session))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == _HEALTH and scope.get("method") == "GET":
            answer = JSONResponse(await self._service.health())
            await answer(scope, receive, send)
        else:
            await self._others(scope, receive, send)


def _make_doors(service: Service, session: Session) -> ASGIApp:
    api: Any = import_module("muster.api.app")  # it takes as long as all the rest of a start
    app: FastAPI = api.make_app(service, __version__)
    app.router.routes += [mcp_route(service, __version__), hooks_route(service)]
    app.mount("/", Late(lambda: _pages(service, session)))
    return app


def _pages(service: Service, session: Session) -> ASGIApp:
    pages: Any = import_module("muster.web.app")  # most servers start without a page open
    import_module(_SPEAKER)  # each page opens a WebSocket; here it is loaded beside the loop
    return Router(pages.routes(service, session))


def _hear_signals(server: uvicorn.Server, file: LogFile | None) -> None:
    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if file is not None:  # who rotates logs asks for a new file this way; each line looks for one
        loop.add_signal_handler(signal.SIGHUP, lambda: log.info("the log goes on in %s", file.path))
