"""The helper on the far side of an SSH connection: it serves one muster, for one machine.

It is started over the connection, reads requests on standard input, and ends with it; the runs
that it started go on under their shims. All that lasts lies below `ROOT`, and a later helper finds
it there. It needs Python and, to carry folders, git; nothing is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from muster.domain.errors import Conflict, Invalid, MusterError, NotFound
from muster.runtimes import twin
from muster.runtimes.base import Exit, Limits, RunSpec, Runtime
from muster.runtimes.carrying import BACK, SENT, Carrier
from muster.runtimes.frames import LONGEST_LINE, Broken, pack, unpack
from muster.runtimes.layout import EXIT, STARTED, read_text, write_at_once
from muster.runtimes.rundir import RunDir

TENANT = "tenant"
RUN = re.compile(r"[0-9a-f]{32}")
_NEVER_ENDED = 14 * 24 * 3600.0

Answer = tuple[dict[str, Any], bytes]


class Helper:
    """Serves requests by a runtime of this machine."""

    def __init__(self, runtime: Runtime, root: Path) -> None:
        self._runtime = runtime
        self._root = root
        self._waits: dict[str, tuple[asyncio.Task[Exit], asyncio.Event]] = {}
        self._verbs: dict[str, Callable[[dict[str, Any], bytes], Awaitable[Answer]]] = {
            "hello": self._hello,
            "put": self._put,
            "start": self._start,
            "watch": self._watch,
            "send": self._send,
            "end_input": self._end_input,
            "stop": self._stop,
            "kill": self._kill,
            "take": self._take,
            "forget": self._forget,
        }

    async def serve(self, source: asyncio.StreamReader, say: Callable[[bytes], None]) -> None:
        """Answer requests side by side until the connection ends."""
        under_way: set[asyncio.Task[None]] = set()
        with contextlib.suppress(Broken):
            while True:
                head, body = await unpack(source)
                task = asyncio.create_task(self._answer(head, body, say))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        for task in under_way:
            task.cancel()

    async def _answer(
        self, head: dict[str, Any], body: bytes, say: Callable[[bytes], None]
    ) -> None:
        ref = head.get("id")
        try:
            verb = self._verbs.get(str(head.get("verb")))
            if verb is None:
                raise Invalid(f"the far side knows no '{head.get('verb')}'", hint="update it")
            told, data = await verb(head, body)
        except MusterError as error:
            told, data = {"problem": error.problem()}, b""
        except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
            words = f"{type(error).__name__}: {error}"
            told, data = {"problem": {"code": "refused", "detail": words, "hint": ""}}, b""
        say(pack({"id": ref, **told}, data))

    async def _hello(self, _head: dict[str, Any], _body: bytes) -> Answer:
        await asyncio.to_thread(self._tidy)
        return {
            "python": ".".join(map(str, sys.version_info[:3])),
            "git": shutil.which("git") is not None,
            "root": str(self._root),
            "path": os.environ.get("PATH", os.defpath),
            "why_not": self._runtime.available(),
            "place": self._runtime.name,
            "how": self._runtime.describe(),
        }, b""

    async def _put(self, head: dict[str, Any], body: bytes) -> Answer:
        run, place = self._folder(head), self._folder(head, "at")
        if not RunDir(run / "run").started():  # what an agent works on is not put back
            if place != run:
                await asyncio.to_thread(self._take_over, place, run.name)
            carrier = _carrier(place, int(head["n"]))
            await asyncio.to_thread(carrier.unpack, str(head["commit"]), body, SENT)
            if head["repository"]:
                await asyncio.to_thread(carrier.make_repository, str(head["commit"]))
        return {}, b""

    async def _start(self, head: dict[str, Any], body: bytes) -> Answer:
        folder = self._folder(head)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self._folder(head, "at")
        # A repository that was made there stands on what it travelled in.
        stood_on = tuple(str(path) for path in sorted(place.glob("f*.git/objects")))
        spec = replace(_spec(head["spec"], body), readable=stood_on)
        await asyncio.to_thread(_make_temporary, spec, place)
        await self._runtime.start(spec, folder / "run")
        return {}, b""

    async def _watch(self, head: dict[str, Any], _body: bytes) -> Answer:
        run = self._folder(head) / "run"
        if not RunDir(run).started():
            raise NotFound(f"no run was started in {run}", hint="start it first")
        over, grown = self._wait(head["run"], run)
        deadline = time.monotonic() + float(head["patience"])
        while True:
            grown.clear()
            # Looked at first: what is read then is the whole output.
            ended = RunDir(run).exit() if over.done() else None
            parts, data = await asyncio.to_thread(twin.news, run, head["have"])
            left = deadline - time.monotonic()
            if parts or ended or left <= 0:
                break
            waits = [asyncio.ensure_future(grown.wait()), asyncio.ensure_future(_end_of(over))]
            await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        told = {
            "parts": parts,
            "there": list(twin.sizes(run)),
            "documents": twin.documents(run),
            "last": twin.last_record(run) if ended else "",
            "cpu": self._runtime.cpu_seconds(run),
            "exit": asdict(ended) if ended and not parts else None,
        }
        return told, data

    def _wait(self, name: str, run: Path) -> tuple[asyncio.Task[Exit], asyncio.Event]:
        """The one wait for a run in this helper; it also kills what a lost run left."""
        if name not in self._waits or self._failed(name):
            grown = asyncio.Event()
            over = asyncio.create_task(self._runtime.wait(run, grown.set))
            self._waits[name] = (over, grown)
        return self._waits[name]

    def _failed(self, name: str) -> bool:
        over, _ = self._waits[name]
        return over.done() and (over.cancelled() or over.exception() is not None)

    async def _end_input(self, head: dict[str, Any], _body: bytes) -> Answer:
        await self._runtime.end_input(self._folder(head) / "run")
        return {}, b""

    async def _send(self, head: dict[str, Any], body: bytes) -> Answer:
        await self._runtime.send(self._folder(head) / "run", body)
        return {}, b""

    async def _stop(self, head: dict[str, Any], _body: bytes) -> Answer:
        await self._runtime.stop(self._folder(head) / "run")
        return {}, b""

    async def _kill(self, head: dict[str, Any], _body: bytes) -> Answer:
        await self._runtime.kill(self._folder(head) / "run")
        return {}, b""

    async def _take(self, head: dict[str, Any], _body: bytes) -> Answer:
        """What a folder became, as a pack since it was sent."""
        carrier = _carrier(self._folder(head, "at"), int(head["n"]))
        commit, data = await asyncio.to_thread(carrier.pack, BACK, str(head["since"]))
        return {"commit": commit}, data

    async def _forget(self, head: dict[str, Any], _body: bytes) -> Answer:
        self._waits.pop(str(head["run"]), None)
        folder = self._folder(head)
        if RunDir(folder / "run").exit() is not None:
            await asyncio.to_thread(_empty, folder)
            place = self._folder(head, "at")
            if _tenant(place) == folder.name:
                await asyncio.to_thread(_empty, place)
        return {}, b""

    def _take_over(self, place: Path, run: str) -> None:
        """Let the folders of a run be in the place of one that is over."""
        if _tenant(place) == run:
            return
        before = RunDir(place / "run")
        if before.started():
            if before.exit() is None:
                raise Conflict("the run in that place goes on", hint="wait for its end")
            _empty(place)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_at_once(str(place), TENANT, run.encode())

    def _folder(self, head: dict[str, Any], which: str = "run") -> Path:
        name = str(head.get(which, head.get("run")))
        if not RUN.fullmatch(name):
            raise Invalid(f"'{name[:80]}' names no run", hint="a name has 32 hex digits")
        return self._root / "runs" / name

    def _tidy(self) -> None:
        """Remove runs that ended long ago and that nobody came back for."""
        runs = self._root / "runs"
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in runs.iterdir():
            ended = RunDir(runs / (_tenant(folder) or folder.name) / "run").exit()
            if ended is not None and time.time() - ended.ended_at > _NEVER_ENDED:
                shutil.rmtree(folder, ignore_errors=True)


async def _end_of(over: asyncio.Task[Exit]) -> None:
    await asyncio.wait([over])


def _empty(folder: Path) -> None:
    """Leave nothing of a run but that it was started and has ended: it must not begin again."""
    run = folder / "run"
    for path in (*folder.iterdir(), *run.iterdir()):
        if path == run or path.name in {STARTED, EXIT}:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _tenant(place: Path) -> str:
    """The later run whose folders are in the place of one that is over; empty for none."""
    name = read_text(str(place / TENANT))
    return name if RUN.fullmatch(name) else ""


def _make_temporary(spec: RunSpec, place: Path) -> None:
    """The folder for temporary files: an empty one does not travel, and programs count on it."""
    folder = Path(spec.env.get("TMPDIR", ""))
    if folder.is_relative_to(place):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _carrier(folder: Path, n: int) -> Carrier:
    return Carrier(folder / f"f{n}", folder / f"f{n}.git")


def _spec(said: dict[str, Any], stdin: bytes) -> RunSpec:
    return RunSpec(
        run_id=said["run_id"],
        argv=tuple(said["argv"]),
        cwd=said["cwd"],
        env=dict(said["env"]),
        stdin=stdin,
        interactive=said["interactive"],
        limits=Limits(**said["limits"]),
        secrets=tuple(said["secrets"]),
        writable=tuple(said["writable"]),
        network=tuple(said["network"]),
    )


async def main(runtime: Runtime, root: str) -> None:
    """Serve over standard input and output."""
    loop = asyncio.get_running_loop()
    source = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(source), sys.stdin.buffer)
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout.buffer)
    transport.write(pack({"id": 0}))
    helper = Helper(runtime, Path(root))
    await helper.serve(source, transport.write)
    await runtime.close()
    # What is under way belongs to a connection that is gone; shims need nobody.
    os._exit(0)
