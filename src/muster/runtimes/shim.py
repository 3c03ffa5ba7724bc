"""The supervisor of one run: it starts the program, keeps its output, and sees to its end.

It belongs to nobody: the server may die and come back, the run goes on. It is light and imports
little, because there is one for every run. `layout.py` says what it leaves in the run directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from muster.domain.redact import Redactor
from muster.runtimes import cgroups, leftovers
from muster.runtimes.child import Dress, Embryo, adopt_orphans, ended_children
from muster.runtimes.control import Control, Input, Loop
from muster.runtimes.layout import (
    CTL,
    LOCK,
    MARK,
    RUN_ID,
    SHIM,
    SPEC,
    STARTED,
    STREAMS,
    reserve_exit,
    write_at_once,
    write_exit,
)
from muster.runtimes.leftovers import Traces
from muster.runtimes.meter import Allowance, Meter
from muster.runtimes.pump import Pump
from muster.runtimes.streams import CappedFile, Index
from muster.runtimes.told import Told

_LADDER = ((signal.SIGINT, 2.0), (signal.SIGTERM, 1.0))
_KILL_AGAIN = 1.0
_GRACE = 0.1
_LAST_PIECES = 64
_MEMORY_CODES = (-signal.SIGKILL, 128 + signal.SIGKILL)
_FILE_CODES = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)


@dataclass(frozen=True, slots=True)
class Order:
    """What a shim is asked to run, as it came over the socket."""

    run_id: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    stdin: bytes
    interactive: bool
    limits: Mapping[str, Any]
    secrets: tuple[str, ...]
    cage: Mapping[str, Any] | None = None
    trees: tuple[tuple[int, int], ...] = ()
    """See `Traces`."""
    folders: tuple[str, ...] = ()
    """Where what the run writes comes to lie."""

    def spec(self) -> dict[str, Any]:
        """What may be written down: no value of the environment."""
        return {
            "run_id": self.run_id,
            "argv": self.argv,
            "cwd": self.cwd,
            "env_names": sorted(self.env),
            "stdin_bytes": len(self.stdin),
            "interactive": self.interactive,
            "limits": dict(self.limits),
        }


# --- once -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run in a directory: its lock, held, and its control socket, listening.

    `since` is when it was had, before the program begins.
    """

    lock: int
    listener: socket.socket
    since: float


def claim(folder: str, traces: Traces) -> Claim | None:
    """Become the one shim of a run, or None when it was started before.

    The order matters: whoever sees `started` finds the lock held, the socket there and by what to
    find the run's processes, or a run that is over.
    """
    os.chdir(folder)
    lock = _lock()
    if lock is None:
        return None
    if os.path.exists(STARTED):  # noqa: PTH110 - pathlib is too heavy for the shim
        os.close(lock)
        return None
    since = time.time()
    said = {**asdict(traces), "started_at": since}
    write_at_once(folder, SHIM, json.dumps(said).encode())
    reserve_exit(folder)
    listener = Control.listen()
    os.close(os.open(STARTED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return Claim(lock, listener, since)


def _lock() -> int | None:
    """The held lock, or None when the run was started."""
    fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    while not os.path.exists(STARTED):  # noqa: PTH110
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        # Another shim is about to start the run, or somebody looks whether there is one.
        time.sleep(0.001)
    os.close(fd)
    return None


# --- the run --------------------------------------------------------------------------------------


class Cradle:
    """All of a run that can be made before it is known: its box, and the child that waits in it."""

    def __init__(self, boxes: cgroups.Boxes, mark: str, dress: Dress | None = None) -> None:
        box = tuple(cgroups.box_of(boxes, mark))
        adopt_orphans()
        cgroups.open_box(box)
        self.embryo = Embryo(box, dress)
        program = leftovers.stat(self.embryo.pid)
        self.traces = Traces(
            mark,
            box,
            leftovers.boot_id(),
            shim=os.getpid(),
            session=self.embryo.pid,
            since=program.since if program else 0,
        )

    def abandon(self) -> None:
        """Nobody needs it: leave nothing."""
        os.kill(self.embryo.pid, signal.SIGKILL)
        os.waitpid(self.embryo.pid, 0)
        cgroups.close_box(self.traces.box)


class Keeper:
    """What stands between a shim and its program: here nothing; see `caged` for what may.

    Attributes:
        group: the process group that the program is asked to end by.
        counts: whether what is found after the end are processes that the program left.
    """

    dress: Dress | None = None

    def __init__(self, order: Order, cradle: Cradle) -> None:
        self.order = order
        self.cradle = cradle
        self.embryo = cradle.embryo
        self.group = cradle.embryo.pid
        self.counts = True

    def environment(self) -> dict[str, str]:
        """The whole environment of the program."""
        order = self.order
        marks = {"PWD": order.cwd, RUN_ID: order.run_id, MARK: self.cradle.traces.mark}
        return {**order.env, **marks}

    def cage(self) -> Mapping[str, Any] | None:
        """What the program is put in."""
        return None

    def launch(self) -> str:
        """Start the program; why it could not be, or an empty string.

        Somebody waits for this, so only what the program needs is done here. Its output waits in
        the pipes until `Shim` reads them.
        """
        order, limits = self.order, self.order.limits
        cgroups.limit(
            self.cradle.traces.box,
            limits["memory_bytes"],
            limits["processes"],
            limits.get("cpus"),
        )
        said = self.embryo.become(
            order.argv, order.cwd, self.environment(), limits["file_bytes"], self.cage()
        )
        return self.see(said)

    def see(self, said: int) -> str:
        """Wait until the program runs; why it does not, or an empty string."""
        self.embryo.release()
        with open(said, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def ended(self, code: int) -> tuple[int, str]:
        """The exit status of the program, and why it never ran, by that of the shim's child."""
        return code, ""

    def report(self, report: dict[str, Any]) -> dict[str, Any]:
        """How the run ended, with what only the keeper knows."""
        return report

    def listen(self, loop: Loop) -> None:
        """Hear of what the program does, from now on."""

    def reaped(self, pid: int) -> None:
        """Another child has ended."""

    def close(self) -> None:
        """Let go of what served the program; it must end now."""


class Shim:
    """One run, from its start to its end."""

    def __init__(self, keeper: Keeper, folder: str, claimed: Claim) -> None:
        order, cradle = keeper.order, keeper.cradle
        self._keeper = keeper
        self._order = order
        self._folder = folder
        self._claimed = claimed
        self._traces = cradle.traces
        self._embryo = cradle.embryo
        self._program = cradle.embryo.pid
        self._redactor = Redactor(order.secrets)
        self._loop = Loop()
        self._control = Control(self._loop, claimed.listener, self.stop, self.kill)
        self._index = Index(folder)
        self._files = [self._file(name) for name in STREAMS]
        self._pumps = [
            Pump(self._loop, fd, file, self._redactor.twin(), self._wrote(number))
            for number, (fd, file) in enumerate(
                zip((cradle.embryo.out, cradle.embryo.err), self._files, strict=True)
            )
        ]
        self._code: int | None = None
        self._why = ""
        self._ladder = list(_LADDER)
        self._next_rung: float | None = None
        self._started_at = time.time()
        self._wall: float | None = time.monotonic() + order.limits["wall_seconds"]
        allowed = Allowance(order.folders, order.limits["disk_bytes"], claimed.since)
        self._meter = Meter(self._loop, allowed, self._traces, self.fill)

    def _file(self, name: str) -> CappedFile:
        limits = self._order.limits
        return CappedFile(self._folder, name, limits["head_bytes"], limits["tail_bytes"])

    def _wrote(self, stream: int) -> Callable[[int], None]:
        def wrote(length: int) -> None:
            now = time.monotonic()
            self._index.add(stream, length, now, time.time())
            self._control.grew(now)

        return wrote

    def run(self, problem: str) -> None:
        """See the launched program through to its end."""
        self._listen_for_signals()
        self._reap()  # it may have ended before anybody listened
        order = self._order
        feed = self._embryo.stdin
        told = Told(self._folder, self._redactor.twin()).add if order.interactive else None
        self._control.input = Input(self._loop, feed, order.stdin, told)
        self._keeper.listen(self._loop)
        self._why = "exec" if problem else ""
        write_at_once(self._folder, SPEC, self._redacted_spec())
        while self._code is None:
            self._turn()
        self._after(problem)

    # --- asked to end ---

    def stop(self) -> None:
        """Begin the way down: an interrupt, a word, a kill."""
        self._end_for("stopped")

    def kill(self) -> None:
        """Kill the whole tree now."""
        if self._code is None:
            self._why = "killed"
            self._next_rung = None
            self._kill_tree()

    def fill(self) -> None:
        """Kill the whole tree before it takes more of the disk."""
        if self._code is None and not self._why:
            self._why = "disk"
            self._kill_tree()

    def _end_for(self, why: str) -> None:
        if self._code is None and not self._why:
            self._why = why
            self._climb_down()

    def _climb_down(self) -> None:
        if not self._ladder:
            self._kill_tree()
            return
        number, patience = self._ladder.pop(0)
        for group in dict.fromkeys((self._keeper.group, self._program)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
                break
        self._next_rung = time.monotonic() + patience

    def _kill_tree(self) -> None:
        self._ladder = []
        self._close_helpers()
        leftovers.clear(self._traces, os.getpid(), self._reap)
        # Something that the kernel cannot end now is tried again.
        self._next_rung = time.monotonic() + _KILL_AGAIN

    def _close_helpers(self) -> None:
        self._keeper.close()
        self._meter.close()

    # --- while it runs ---

    def _listen_for_signals(self) -> None:
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.detach(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

        def woke() -> None:
            wake.recv(4096)
            self._reap()

        self._loop.add(wake.fileno(), woke)

    def _reap(self) -> None:
        for pid, status in ended_children():
            if pid == self._program:
                self._code = os.waitstatus_to_exitcode(status)
            else:
                self._keeper.reaped(pid)
                self._meter.reaped(pid)

    def _turn(self, until: float | None = None) -> None:
        now = time.monotonic()
        dues = [until, self._wall, self._next_rung, self._index.due, self._control.hint_due]
        dues += [self._meter.due, *(pump.due for pump in self._pumps)]
        soonest = min((due for due in dues if due is not None), default=None)
        self._loop.turn(None if soonest is None else soonest - now)
        now = time.monotonic()
        if _is_due(self._wall, now):
            self._wall = None
            self._end_for("timeout")
        if _is_due(self._next_rung, now):
            self._next_rung = None
            if self._code is None:
                self._climb_down()
        for pump in self._pumps:
            if _is_due(pump.due, now):
                pump.retry()
        if _is_due(self._meter.due, now):
            self._meter.tick(now)
        self._tell(now)

    def _tell(self, now: float) -> None:
        if _is_due(self._index.due, now):
            self._index.flush(now, time.time())
        if _is_due(self._control.hint_due, now):
            self._control.tell(now)
        self._control.settle()

    # --- when it is over ---

    def _after(self, problem: str) -> None:
        """Wait a moment for the rest of the output, kill what is left, say how it ended."""
        self._wall = self._next_rung = None
        self._close_helpers()
        if self._code is not None and not problem:
            self._code, never_ran = self._keeper.ended(self._code)
            if never_ran and not self._why:
                self._why, problem = "exec", never_ran
        if self._control.input is not None:
            self._control.input.close()
        for pump in self._pumps:
            pump.drain(_LAST_PIECES)
        until = time.monotonic() + _GRACE
        while not self._ended_streams() and time.monotonic() < until:
            self._turn(until)
        left, gone = leftovers.clear(self._traces, os.getpid(), self._reap)
        for pump in self._pumps:
            pump.drain(_LAST_PIECES)
            pump.finish()
        self._index.flush(time.monotonic(), time.time())
        report = self._report(problem, left if self._keeper.counts else 0, gone)
        self._close(self._keeper.report(report))

    def _ended_streams(self) -> bool:
        return all(pump.over for pump in self._pumps)

    def _report(self, problem: str, left: int, gone: bool) -> dict[str, Any]:
        box = self._traces.box
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = cgroups.cpu_seconds(box) or usage.ru_utime + usage.ru_stime
        memory_kills = cgroups.memory_kills(box)
        why = self._why or "exit"
        if why == "exit" and memory_kills and self._code in _MEMORY_CODES:
            why = "memory"
        notes = [
            self._safe(problem),
            "" if gone else "a process could not be killed",
            f"processes killed for want of memory: {memory_kills}" if memory_kills else "",
            self._meter.told() if why == "disk" else "",
            *(
                f"{pump.unwritten} bytes of {name} were lost: the disk is full"
                for name, pump in zip(STREAMS, self._pumps, strict=True)
                if pump.unwritten
            ),
        ]
        out, err = (file.total for file in self._files)
        return {
            "code": 127 if problem else self._code,
            "why": why,
            "left": left,
            "started_at": self._started_at,
            "ended_at": time.time(),
            "cpu_seconds": used,
            "max_rss_bytes": usage.ru_maxrss * 1024,
            "out_bytes": out,
            "err_bytes": err,
            "detail": "; ".join(filter(None, notes)),
            "limits": self._reached(memory_kills),
        }

    def _reached(self, memory_kills: int) -> list[str]:
        """The limits that the run is known to have run into."""
        seen = {
            "memory": memory_kills,
            "processes": cgroups.process_refusals(self._traces.box),
            "file": self._code in _FILE_CODES,
            "disk": self._why == "disk",
        }
        return [name for name, reached in seen.items() if reached]

    def _close(self, report: dict[str, Any]) -> None:
        for pump in self._pumps:
            pump.close()
        with contextlib.suppress(OSError):
            self._index.sync()
        self._index.close()
        cgroups.close_box(self._traces.box)
        write_exit(self._folder, report)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(CTL)  # noqa: PTH108
        os.close(self._claimed.lock)
        self._control.close()

    # --- what is written down ---

    def _safe(self, text: str) -> str:
        return self._redactor.whole(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _redacted_spec(self) -> bytes:
        return self._redactor.whole(json.dumps(self._order.spec()).encode())


def _is_due(due: float | None, now: float) -> bool:
    return due is not None and now >= due
