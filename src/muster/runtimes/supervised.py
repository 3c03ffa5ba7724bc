"""Programs of this machine, each under a shim of its own that outlives the server.

What the places of this machine have in common; how far they contain a program is their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import muster
from muster.domain.errors import Conflict, Invalid, MusterError, NotFound, Refused
from muster.domain.redact import SHORTEST
from muster.failpoint import failpoint
from muster.runtimes import leftovers, lost
from muster.runtimes.base import Distance, Exit, RunSpec
from muster.runtimes.layout import (
    CTL,
    DATA,
    EOF,
    FRAME,
    KILL,
    LONGEST_FRAME,
    MARK,
    STARTED,
    STOP,
    WATCH,
    YES,
)
from muster.runtimes.leftovers import Traces
from muster.runtimes.rundir import RunDir
from muster.runtimes.written import outermost
from muster.runtimes.zygote import REQUEST
from muster.settings import environment

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", MARK)
_MEASURING = "COVERAGE_"
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from muster.runtimes import {0} as z; "
_TRIES = 3
_FIRST_LOOK, _LONGEST_LOOK = 0.01, 0.5
_PATIENCE = 5.0
_PROOF = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def why_no_shims() -> str:
    """Why shims cannot work on this machine, or an empty string."""
    if not sys.platform.startswith("linux"):
        return f"needs Linux, and this is {sys.platform}"
    return "" if Path("/proc/self/stat").exists() else "needs /proc, which is not mounted"


class Supervised:
    """Runs programs under shims; `zygote` is the module that forks them."""

    distance = Distance()
    zygote = "zygote"

    def __init__(self) -> None:
        self._zygote: _Zygote | None = None

    def cage(self, spec: RunSpec, run_dir: Path) -> dict[str, Any] | None:
        """What the shim shall contain the program by; nothing.

        Raises:
            Invalid: the run asks for what no cage can give.
            Refused: nothing here can contain a program.
        """
        del spec, run_dir
        return None

    async def start(self, spec: RunSpec, run_dir: Path) -> None:
        """Start the program once; see `Runtime.start`.

        Raises:
            Invalid: a secret is too short to be hidden, or a text holds a NUL.
            Refused: no supervisor can be started here.
        """
        # What can be shown is looked up on the disk, and the first look tries the place itself.
        cage = await asyncio.to_thread(self.cage, spec, run_dir)
        order = order_of(spec, run_dir, cage)
        if not prepare(run_dir):
            return
        failpoint("run.before_spawn")
        await self._begin(order, run_dir)

    async def _begin(self, order: bytes, run_dir: Path) -> None:
        """Hand an order to a shim that carries it out, unless the run was started before.

        Raises:
            Refused: no supervisor can be started here.
        """
        for _ in range(_TRIES):
            if await self._hand_over(order):
                failpoint("run.after_spawn")
                return
        raise Refused(
            f"no supervisor could be started for the run in {run_dir}",
            hint="look whether the machine has processes and memory left",
        )

    async def wait(self, run_dir: Path, on_output: Callable[[], None] | None = None) -> Exit:
        """Return when the run is over and nothing of it is left; see `Runtime.wait`.

        Raises:
            NotFound: the run was never started.
        """
        record = RunDir(run_dir)
        if not record.started():
            raise NotFound(f"no run was started in {run_dir}", hint="start it first")
        pause = _FIRST_LOOK
        while (ended := record.exit()) is None:
            connection = await _connect(run_dir)
            if connection is not None:
                await _watch(connection, on_output)
                if record.exit() is not None:
                    continue
            if not record.alive() and (ended := await asyncio.to_thread(lost.settle, run_dir)):
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK)
        return ended

    async def send(self, run_dir: Path, data: bytes) -> None:
        """Write to the standard input of an interactive run.

        Raises:
            Conflict: the run is over or takes no input.
        """
        for at in range(0, len(data), LONGEST_FRAME):
            await self._say(run_dir, DATA, data[at : at + LONGEST_FRAME])

    async def end_input(self, run_dir: Path) -> None:
        """Close the standard input of an interactive run.

        Raises:
            Conflict: the run is over or takes no input.
        """
        await self._say(run_dir, EOF)

    async def stop(self, run_dir: Path) -> None:
        """Ask the run to end: SIGINT, 2 s later SIGTERM, 1 s later the whole tree is killed."""
        await self._end(run_dir, STOP)

    async def kill(self, run_dir: Path) -> None:
        """Kill the whole tree now."""
        await self._end(run_dir, KILL)

    def cpu_seconds(self, run_dir: Path) -> float:
        """Processor time the live tree used so far; 0.0 when unknown."""
        ended = RunDir(run_dir).exit()
        if ended is not None:
            return ended.cpu_seconds
        traces = Traces.read(str(run_dir))
        return leftovers.cpu_seconds(traces) if traces else 0.0

    async def close(self) -> None:
        """Let go of helpers of this process; runs go on."""
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            await asyncio.to_thread(zygote.close)

    async def _hand_over(self, order: bytes) -> bool:
        """Give an order to a fresh shim; False when there was none to take it."""
        here, there = socket.socketpair()
        with here:
            here.setblocking(False)
            with there:
                if not await self._fork(there):
                    return False
            loop = asyncio.get_running_loop()
            with contextlib.suppress(OSError):
                await loop.sock_sendall(here, order)
                return bool(await loop.sock_recv(here, 4096))
        return False

    async def _fork(self, shims_end: socket.socket) -> bool:
        if self._zygote is None:
            try:
                self._zygote = _Zygote(self.zygote)
            except OSError as error:
                raise Refused(
                    f"no supervisor can be started: {error.strerror}",
                    hint="look whether the machine has processes and memory left",
                ) from error
        try:
            await self._zygote.fork(shims_end)
        except OSError:  # it died; the next try makes another
            self._zygote.close()
            self._zygote = None
            return False
        return True

    async def _end(self, run_dir: Path, word: bytes) -> None:
        record = RunDir(run_dir)
        if not record.started() or record.exit() is not None:
            return
        connection = await _connect(run_dir)
        if connection is None:
            if not record.alive():
                await asyncio.to_thread(lost.settle, run_dir)
            return
        # No answer is waited for: what was sent is read even if this process ends now.
        with connection, contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(connection, FRAME.pack(word, 0))

    async def _say(self, run_dir: Path, word: bytes, body: bytes = b"") -> None:
        connection = await _connect(run_dir)
        answer = b""
        if connection is not None:
            loop = asyncio.get_running_loop()
            with connection, contextlib.suppress(OSError):
                await loop.sock_sendall(connection, FRAME.pack(word, len(body)) + body)
                answer = await loop.sock_recv(connection, 1)
        if answer != YES:
            raise Conflict(
                f"the run in {run_dir} is over or takes no input",
                hint="only an interactive run that is alive can be written to",
            )


def prove(make: Callable[[], Supervised]) -> str:
    """Why `true` cannot be run in a place of this kind, or nothing when it has."""
    # There may be a loop in this thread already.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _proof(make)).result()


async def _proof(make: Callable[[], Supervised]) -> str:
    place = make()
    with tempfile.TemporaryDirectory(prefix="mu-") as folder:
        run_dir = Path(folder, "run")
        spec = RunSpec(f"proof-{Path(folder).name}", ("true",), "/", _PROOF)
        try:
            await place.start(spec, run_dir)
            ended = await place.wait(run_dir)
        except MusterError as error:
            return f"{error.detail}; {error.hint}" if error.hint else error.detail
        finally:
            await place.close()
    return "" if ended.code == 0 else f"`true` did not run here: {ended.detail}"


class _Zygote:
    """The process that forks shims, and the socket to it."""

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair()
        inherited = environment()
        env = {
            name: value
            for name, value in inherited.items()
            if name in _PASSED_ON or name.startswith(_MEASURING)
        }
        self._socket = ours
        try:
            self._process = _spawn(module, theirs, env, nested=MARK in env)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)

    async def fork(self, shims_end: socket.socket) -> None:
        """Have a shim forked that talks on this socket.

        Raises:
            OSError: the process is gone.
        """
        while True:
            try:
                socket.send_fds(self._socket, [b"f"], [shims_end.fileno()])
            except BlockingIOError:
                await asyncio.sleep(_FIRST_LOOK)
            else:
                return

    def close(self) -> None:
        """Hang up, which ends it, and wait for that."""
        self._socket.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _spawn(
    module: str, theirs: socket.socket, env: dict[str, str], *, nested: bool
) -> subprocess.Popen[bytes]:
    """Start a zygote: isolated, so that nothing of the server's surroundings can change it."""
    source = str(Path(muster.__file__).parents[1])
    call = f"{_BOOT.format(module)}z.serve(int(sys.argv[1]), nested={nested})"
    return subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", "-c", call, source, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env=env,
    )


def prepare(run_dir: Path) -> bool:
    """Make the folder; False when a run was started in it before."""
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return not (run_dir / STARTED).exists()


def order_of(
    spec: RunSpec,
    run_dir: Path,
    cage: dict[str, Any] | None,
    trees: Sequence[tuple[int, int]] = (),
) -> bytes:
    """What a shim is told; the only place where the environment and secrets are written.

    `trees` are the run's processes elsewhere (`Traces`).

    Raises:
        Invalid: a secret is too short to be hidden.
    """
    if any(len(secret.strip()) < SHORTEST for secret in spec.secrets):
        raise Invalid(
            f"a secret of run {spec.run_id} is too short to be hidden in its output",
            hint=f"use secrets of at least {SHORTEST} characters",
        )
    said = {
        "folder": str(run_dir.absolute()),
        "run_id": spec.run_id,
        "argv": spec.argv,
        "cwd": spec.cwd,
        "env": dict(spec.env),
        "interactive": spec.interactive,
        "limits": asdict(spec.limits),
        "secrets": spec.secrets,
        "cage": cage,
        "trees": trees,
        "folders": outermost((spec.grows or spec.cwd, *spec.writable)),
    }
    body = json.dumps(said).encode()
    return REQUEST.pack(len(body), len(spec.stdin)) + body + spec.stdin


async def _connect(run_dir: Path) -> socket.socket | None:
    """The control socket of a run, or None when nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        while not _dial(connection, run_dir):  # noqa: ASYNC110 - nothing tells of room in a queue
            await asyncio.sleep(_FIRST_LOOK)
    except OSError:
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def _dial(connection: socket.socket, run_dir: Path) -> bool:
    """Connect; False when more callers wait than the shim has accepted yet.

    The way leads through the folder's descriptor, because the path of a socket may only be 107
    bytes long.
    """
    folder = os.open(run_dir, os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{CTL}")
    except BlockingIOError:
        return False
    finally:
        os.close(folder)
    return True


async def _watch(connection: socket.socket, on_output: Callable[[], None] | None) -> None:
    """Pass hints on until the shim hangs up."""
    loop = asyncio.get_running_loop()
    with connection, contextlib.suppress(OSError):
        await loop.sock_sendall(connection, FRAME.pack(WATCH, 0))
        while await loop.sock_recv(connection, 4096):
            if on_output is not None:
                on_output()
