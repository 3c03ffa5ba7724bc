"""Building the house: leaf rooms by entry point, the parts joined, the server run."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import uvicorn

from muster import __version__
from muster.api.app import make_app
from muster.domain.errors import Invalid, Refused, Unavailable
from muster.engine.daemon import Daemon, hand_over
from muster.engine.dispatch import room_on_disk
from muster.engine.tools import Tools
from muster.failpoint import arm
from muster.gate import Gate, Session
from muster.service.counter import Service
from muster.service.desk import Belongings
from muster.settings import Settings, environment, load
from muster.web.app import routes
from muster.workspace.workspaces import Workspaces

log = logging.getLogger("muster")

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def plugins(group: str) -> dict[str, Any]:
    """What is registered under `muster.<group>`, by name, loaded.

    A plugin that cannot be loaded is left out with a warning; the rest works.
    """
    found: dict[str, Any] = {}
    for entry in entry_points(group=f"muster.{group}"):
        try:
            found[entry.name] = entry.load()
        except Exception:  # a stranger's plugin must not stop the house
            log.exception("the plugin %s of muster.%s could not be loaded", entry.name, group)
    return found


class House:
    """Everything of one running muster, joined."""

    def __init__(self, settings: Settings) -> None:
        """Open the store and put the rooms together; nothing moves yet."""
        self.settings = settings
        self.store = plugins("stores")["sqlite"](settings.database_url, settings.home)
        self.workspaces = Workspaces(
            settings.workspaces,
            {name: make() for name, make in plugins("workspaces").items()},
        )
        self.tools = Tools(
            settings=settings,
            store=self.store,
            workspaces=self.workspaces,
            runtimes={name: make() for name, make in plugins("runtimes").items()},
            drivers={name: make() for name, make in plugins("agents").items()},
            clock=time.time,
        )
        durable = plugins("durable")["rows"](
            self.store, lambda task, fault: hand_over(self.tools, task, fault)
        )
        self.daemon = Daemon(self.tools, durable)
        self.service = Service(
            Belongings(
                settings=settings,
                store=self.store,
                workspaces=self.workspaces,
                clock=time.time,
                agent_names=frozenset({*self.tools.drivers, *settings.agents}),
                runtime_names=frozenset(self.tools.runtimes),
                default_agent=self.tools.default_agent(),
                engine_state=lambda: {
                    "active": self.daemon.live,
                    "adopted": self.daemon.adopted,
                },
                version=__version__,
                started_at=int(time.time() * 1000),
                room_on_disk=lambda: room_on_disk(self.tools),
            )
        )

    async def start(self) -> None:
        """Begin to move tasks."""
        self.store.feed.bind(asyncio.get_running_loop())
        await self.daemon.start()

    async def stop(self) -> None:
        """Let go; running agents stay alive under their shims."""
        await self.daemon.stop()
        await self.store.close()


def prepare_home(home: Path) -> None:
    """Make the home, for this user alone.

    Raises:
        Unavailable: it cannot be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / f".probe-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise Unavailable(
            f"the home {home} cannot be written: {error.strerror}",
            hint="make it writable, or name another folder with --home or MUSTER_HOME",
        ) from error
    for name in ("runs", "cache"):
        (home / name).mkdir(exist_ok=True, mode=0o700)


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock for as long as the server lives.

    Raises:
        Unavailable: another server holds it.
    """
    descriptor = os.open(home / "server.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"another muster runs on the home {home}{_who(home)}",
                hint="use it, stop it with 'muster down', or name another home with --home",
            ) from error
        yield
    finally:
        os.close(descriptor)


def _who(home: Path) -> str:
    try:
        found = json.loads((home / "server.json").read_text())
        return f" (process {found['pid']}, {found['url']})"
    except (OSError, ValueError, KeyError):
        return ""


def token_of(home: Path) -> str:
    """The first user's token; made at the first start, whole or not at all."""
    path = home / "token"
    if path.exists() and (found := path.read_text().strip()):
        return found
    token = secrets.token_urlsafe(32)
    write_whole(path, token + "\n")
    return token


def write_whole(path: Path, text: str) -> None:
    """Write a private file so that a crash leaves the old one or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        Unavailable: the port is taken or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
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
    _log_to_stderr()
    with only_one(home):
        listener = listen(settings.host, settings.port)
        try:
            return asyncio.run(_serve(settings, listener, allowed))
        finally:
            listener.close()
            (home / "server.json").unlink(missing_ok=True)


async def _serve(settings: Settings, listener: socket.socket, allowed: tuple[str, ...]) -> int:
    token = token_of(settings.home)
    house = House(settings)
    bound = listener.getsockname()
    url = f"http://{'[::1]' if ':' in bound[0] else bound[0]}:{bound[1]}"
    session = Session(token)
    app = make_app(house.service, __version__)
    app.router.routes.extend(routes(house.service, session))
    server = uvicorn.Server(
        uvicorn.Config(
            Gate(app, token, session, allowed, bound[1]),
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
            ws_max_size=1_000_000,
        )
    )
    await house.start()
    write_whole(
        settings.home / "server.json",
        json.dumps({"url": url, "pid": os.getpid(), "version": __version__}),
    )
    print(f"muster {__version__} listens on {url}", file=sys.stderr, flush=True)  # noqa: T201
    _stop_on_signals(server)
    try:
        await server.serve(sockets=[listener])
    finally:
        await house.stop()
    return 0


def _stop_on_signals(server: uvicorn.Server) -> None:
    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s %(message)s",
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
