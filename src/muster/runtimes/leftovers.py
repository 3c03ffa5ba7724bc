"""Finding and killing every process of a run, also those that tried to get away.

A process is found by its box (control group), by descent from the shim, which adopts orphans, by
the run's mark in its environment, and by the session of the program. A program that leaves one of
these is still caught by another.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from muster.runtimes import cgroups
from muster.runtimes.layout import MARK, SHIM, read_json, read_text

_PATIENCE = 10.0
_LOOK_AGAIN = 0.001


@dataclass(frozen=True, slots=True)
class Traces:
    """By what a run's processes are found. `boot` guards against numbers from before a reboot.

    `session` is the program's process id; `since` is its start in clock ticks after boot. `trees`
    are processes elsewhere (the first one of a container) that belong to the run with all their
    descendants, each by its process id and start.
    """

    mark: str
    box: tuple[str, ...] = ()
    boot: str = ""
    shim: int = 0
    session: int = 0
    since: int = 0
    trees: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def read(folder: str) -> Traces | None:
        """What the shim of a run wrote, or None when it did not get that far."""
        said = read_json(f"{folder}/{SHIM}")
        if said is None:
            return None
        return Traces(
            str(said["mark"]),
            tuple(said["box"]),
            str(said["boot"]),
            int(said["shim"]),
            int(said["session"]),
            int(said["since"]),
            tuple((int(pid), int(since)) for pid, since in said.get("trees", ())),
        )


def boot_id() -> str:
    """A name of the time since the machine was started."""
    return read_text("/proc/sys/kernel/random/boot_id").strip()


@dataclass(frozen=True, slots=True)
class Stat:
    """What is needed of /proc/PID/stat; `ticks` of processor time and of the start after boot."""

    state: str
    parent: int
    session: int
    ticks: int
    since: int


def stat(pid: int) -> Stat | None:
    """A process as it is now, or None when it is gone."""
    text = read_text(f"/proc/{pid}/stat")
    if not text:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    ticks = sum(map(int, fields[11:15]))
    return Stat(fields[0], int(fields[1]), int(fields[3]), ticks, int(fields[19]))


def descendants(pid: int) -> set[int]:
    """The children of a process and theirs."""
    found: set[int] = set()
    ask = [pid]
    while ask:
        at = ask.pop()
        for thread in _threads(at):
            text = read_text(f"/proc/{at}/task/{thread}/children")
            fresh = {int(child) for child in text.split()} - found
            found |= fresh
            ask += fresh
    return found


def _threads(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - pathlib is too heavy for the shim
    return []


def _environment(pid: int) -> bytes:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
        return file.read()
    return b""


def marked(mark: str) -> set[int]:
    """The processes that carry a mark in the environment they were started with."""
    wanted = f"{MARK}={mark}".encode()
    found: set[int] = set()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            environment = _environment(int(name))
            # Looking for the mark first keeps the common case to one fast search.
            if wanted in environment and wanted in environment.split(b"\0"):
                found.add(int(name))
    return found


def _in_session(traces: Traces) -> set[int]:
    """The members of the program's session; none when its number was given to another since."""
    if not traces.session or traces.boot != boot_id():
        return set()
    leader = stat(traces.session)
    if leader is not None and leader.since != traces.since:
        return set()
    found: set[int] = set()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit() and (seen := stat(int(name))) and seen.session == traces.session:
            found.add(int(name))
    return found


def _roots(traces: Traces) -> set[int]:
    """The first processes of the run's trees elsewhere, as far as they are there still."""
    if traces.boot != boot_id():
        return set()
    return {
        pid
        for pid, since in traces.trees
        if (seen := stat(pid)) is not None and seen.since == since
    }


def alive(traces: Traces, root: int = 0) -> set[int]:
    """All living processes of a run but this one; `root` is the shim, while it lives."""
    found = cgroups.members(traces.box) | marked(traces.mark)
    for top in _roots(traces):
        found |= {top} | descendants(top)
    return _living(found | (descendants(root) if root else _in_session(traces)))


def _living(pids: set[int]) -> set[int]:
    return {
        pid
        for pid in pids - {os.getpid()}
        if (seen := stat(pid)) is not None and seen.state not in "ZX"
    }


def kill(pids: set[int]) -> None:
    """Kill these processes."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def clear(
    traces: Traces, root: int = 0, reap: Callable[[], object] = lambda: None
) -> tuple[int, bool]:
    """Kill until nothing of a run is left; how many there were, and whether all are gone.

    Those that only hold a tree elsewhere together are not counted.
    `reap` lets go of the children of `root`. A process that the kernel cannot end (it waits for a
    disk) is given up on after ten seconds.
    """
    seen: set[int] = set()
    holders = _roots(traces)
    until = time.monotonic() + _PATIENCE
    while left := alive(traces, root):
        seen |= left
        if time.monotonic() > until:
            return len(seen - holders), False
        cgroups.kill(traces.box)
        kill(left)
        reap()
        while time.monotonic() < until and _living(left):
            time.sleep(_LOOK_AGAIN)
            reap()
    return len(seen - holders), True


def cpu_seconds(traces: Traces) -> float:
    """Processor time of a run that is alive, or 0.0 when it cannot be known."""
    used = cgroups.cpu_seconds(traces.box)
    if not used and traces.boot == boot_id() and traces.shim:
        used = _seconds_of(descendants(traces.shim))
    return used + cpu_seconds_elsewhere(traces)


def cpu_seconds_elsewhere(traces: Traces) -> float:
    """What of that was used in trees elsewhere."""
    return sum(_seconds_of(descendants(top)) for top in _roots(traces))


def _seconds_of(pids: set[int]) -> float:
    return sum(seen.ticks for seen in map(stat, pids) if seen) / os.sysconf("SC_CLK_TCK")
