"""Processes of this machine, each shown in a tmux session that people can attach to.

The facts: tmux is a view here and never the supervisor. The program runs under a shim as in
`process`, with pipes and not on a terminal; a pane follows the run's directory, shows its log with
everything taken out that a terminal would obey, and passes lines that are typed there on to an
interactive program. So a tmux server that is killed takes no run with it: `attach` makes another
server and shows the run again. The server is private: its socket, `tmux`, lies beside the run
directories, it reads nobody's configuration, and inherits nothing of muster's environment.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from typing_extensions import override

import muster
from muster.domain.errors import Refused, Unavailable
from muster.failpoint import failpoint
from muster.runtimes.base import Exit, RunSpec
from muster.runtimes.layout import MARK
from muster.runtimes.rundir import RunDir
from muster.runtimes.screens import Screen
from muster.runtimes.supervised import Supervised, order_of, prepare, prove, why_no_shims
from muster.runtimes.tmux_client import TmuxClient, TmuxRefused, version_of
from muster.runtimes.tmux_screen import TmuxScreen
from muster.settings import environment

log = logging.getLogger("muster.runtimes")

OLDEST = (3, 0)
"""The oldest tmux with which this is known to work."""

_SOCKET = "tmux"
_LONGEST_SOCKET = 100
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", MARK)
_SHOW = "import sys; sys.path.insert(0, sys.argv[1]); from muster.runtimes import tmux_view as v; "
_PATIENCE = 10.0


class TmuxRuntime(Supervised):
    """Runs programs as plain processes, with a session of a private tmux server for each."""

    name = "tmux"

    def __init__(self) -> None:
        super().__init__()
        self._clients: dict[Path, TmuxClient] = {}
        self._connecting = asyncio.Lock()

    def available(self) -> str:
        """An empty string when `true` has run and was shown, else the reason why it cannot."""
        if why_not := why_no_shims():
            return why_not
        try:
            _tmux()
        except Unavailable as error:
            return f"{error.detail}; {error.hint}"
        return prove(TmuxRuntime)

    def describe(self) -> str:
        """How far a program is contained here."""
        return "not contained: it can read, write and reach what the user of the server can"

    @override
    async def start(self, spec: RunSpec, run_dir: Path) -> None:
        """Start the program once and show it; see `Runtime.start`.

        Raises:
            Invalid: a secret is too short to be hidden, or a text holds a NUL.
            Refused: no supervisor or no tmux server can be started here.
            Unavailable: tmux is missing or too old.
        """
        order = order_of(spec, run_dir, None)
        if not prepare(run_dir):
            return
        await self._client(_socket(run_dir))
        failpoint("run.before_spawn")
        await self._begin(order, run_dir)
        await self._show_if_it_can_be(run_dir)

    @override
    async def wait(self, run_dir: Path, on_output: Callable[[], None] | None = None) -> Exit:
        """Return when the run is over and nothing of it is left; see `Runtime.wait`."""
        if RunDir(run_dir).alive():
            await self._show_if_it_can_be(run_dir)
        return await super().wait(run_dir, on_output)

    async def attach(self, run_dir: Path) -> tuple[str, ...]:
        """Have a run shown, and tell the command by which a person joins it in a terminal.

        Raises:
            Refused: the run is over, or no tmux server can be started here.
            Unavailable: tmux is missing or too old.
        """
        if not RunDir(run_dir).alive():
            raise Refused(
                f"the run in {run_dir} is over", hint="its log is kept: muster agent logs"
            )
        await self._show(run_dir)
        where = ("-S", str(_socket(run_dir)))
        return (_tmux(), *where, "attach-session", "-t", f"={_session(run_dir)}")

    async def screen(self, run_dir: Path) -> Screen:
        """The session of a run, to look at and to type into; see `Shows`.

        Raises:
            Refused: the run is over, or no tmux server can be started here.
            Unavailable: tmux is missing or too old.
        """
        await self.attach(run_dir)
        socket = _socket(run_dir)
        return await TmuxScreen.attach(_tmux(), socket, _surroundings(), _session(run_dir))

    @override
    async def close(self) -> None:
        """Let go of helpers of this process; runs go on, and are shown still."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()
        await super().close()

    async def _show_if_it_can_be(self, run_dir: Path) -> None:
        """Have a run shown; one that cannot be goes on all the same."""
        try:
            await self._show(run_dir)
        except (Refused, Unavailable) as error:
            log.warning("the run in %s goes on, but is not shown: %s", run_dir, error.detail)

    async def _show(self, run_dir: Path) -> None:
        socket = _socket(run_dir)
        known = self._clients.get(socket)
        try:
            await _open(await self._client(socket), run_dir)
        except Refused:
            if known is None or known.alive:
                raise
            # The server of an earlier run was killed, which nobody had noticed yet.
            await _open(await self._client(socket), run_dir)

    async def _client(self, socket: Path) -> TmuxClient:
        async with self._connecting:
            client = self._clients.get(socket)
            if client is None or not client.alive:
                if client is not None:
                    await client.close()
                client = await self._connect(socket)
                self._clients[socket] = client
        return client

    @staticmethod
    async def _connect(socket: Path) -> TmuxClient:
        # One at a time, also of other processes. tmux has a lock of its own, `SOCKET.lock`.
        lock = os.open(f"{socket}.making", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            return await TmuxClient.connect(_tmux(), socket, _surroundings())
        finally:
            os.close(lock)


async def _open(client: TmuxClient, run_dir: Path) -> None:
    """Have a session for this run, unless there is one."""
    name = _session(run_dir)
    try:
        await client.ask("has-session", "-t", f"={name}")
    except TmuxRefused:
        source = str(Path(muster.__file__).parents[1])
        view = (sys.executable, "-I", "-X", "utf8", "-c", f"{_SHOW}v.main(sys.argv[2])")
        size = ("-x", "200", "-y", "50")
        argv = (*view, source, str(_absolute(run_dir)))
        try:
            await client.ask("new-session", "-d", "-s", name, *size, "--", *argv)
        except TmuxRefused as refused:
            if "duplicate session" not in refused.detail:  # another was quicker
                raise


def _session(run_dir: Path) -> str:
    """The name of a run's session; tmux gives colons and full stops a meaning."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", run_dir.name)


def _absolute(path: Path) -> Path:
    return path.absolute()


def _socket(run_dir: Path) -> Path:
    """The socket of the server that shows this run, and the others beside it.

    Raises:
        Refused: its path would be too long for a socket.
    """
    socket = run_dir.absolute().parent / _SOCKET
    if len(str(socket).encode()) > _LONGEST_SOCKET:
        raise Refused(
            f"{socket} is too long a path for a tmux socket",
            hint="choose a home with a shorter path (--home), or another runtime",
        )
    return socket


def _tmux() -> str:
    """The tmux of this machine.

    Raises:
        Unavailable: there is none, or it is too old.
    """
    tmux = shutil.which("tmux", path=environment().get("PATH"))
    if tmux is None:
        raise Unavailable("tmux is not installed", hint="install tmux 3.0 or newer")
    try:
        done = subprocess.run(
            [tmux, "-V"], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            f"{tmux} cannot be run: {error}", hint="install tmux 3.0 or newer"
        ) from error
    version = version_of(done.stdout)
    if version is not None and version < OLDEST:
        raise Unavailable(
            f"{tmux} is {done.stdout.strip()}, which is too old",
            hint=f"install tmux {OLDEST[0]}.{OLDEST[1]} or newer",
        )
    return tmux


def _surroundings() -> dict[str, str]:
    """The whole environment of a tmux server and its panes."""
    own = environment()
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        **{name: own[name] for name in _PASSED_ON if name in own},
        "TERM": "screen-256color",
        "SHELL": "/bin/sh",
        "HOME": "/",
    }
