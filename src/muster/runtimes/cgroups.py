"""Control groups: a box for each run, by which its whole tree is counted, limited and killed.

Three kinds of machine are served: one unified hierarchy (v2), the hybrid of an empty v2 beside v1
controllers, and none that may be written to, where a run has no box and is followed by descent
alone. In v2 the boxes stand outside the server's own group, because service managers end a service
by killing its group; the v1 controllers only limit, so there they stand inside it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from muster.runtimes.layout import read_text

_SHIMS = "shims"
_HOUSE = "muster"
_CONTROLLERS = frozenset({"memory", "pids", "cpu"})
_PERIOD = 100_000
"""Microseconds in which a box may use its processor time."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Where boxes are made: a v2 folder or none, and the v1 folder of each controller.

    `came_from` is the v2 group this process was in before it settled.
    """

    unified: str = ""
    came_from: str = ""
    split: tuple[tuple[str, str], ...] = ()


def _mounts() -> Iterator[tuple[str, str, set[str]]]:
    for line in read_text("/proc/self/mounts").splitlines():
        _, where, kind, options, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2"):
            yield where, kind, set(options.split(","))


def _own() -> dict[str, str]:
    """The group of this process by controller; the v2 group under an empty name."""
    own: dict[str, str] = {}
    for line in read_text("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path.rstrip("/")))
    return own


def _make(folder: str) -> bool:
    try:
        os.mkdir(folder)  # noqa: PTH102 - pathlib is too heavy for the shim
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(fd, text.encode())
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _house(top: str) -> str:
    """A place for boxes below `top` into which this process may move its children, or nothing."""
    house = f"{top}/{_HOUSE}"
    if not _make(house):
        return ""
    for folder in (top, house):
        for controller in _CONTROLLERS:
            _write(f"{folder}/cgroup.subtree_control", f"+{controller}")
    shims = f"{house}/{_SHIMS}"
    if _make(shims) and _write(f"{shims}/cgroup.procs", "0"):
        return house
    for folder in (shims, house):
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106
    return ""


def settle(*, nested: bool) -> Boxes:
    """Find where boxes can be made, and move this process out of its parent's v2 group.

    A `nested` one, itself inside a run, stays inside: the outer run's end must reach it.
    """
    own = _own()
    unified, came_from = "", ""
    split: dict[str, str] = {}
    for mount, kind, options in _mounts():
        if kind == "cgroup2" and not unified:
            came_from = mount + own.get("", "")
            outer = () if nested else (mount, came_from.rpartition("/")[0])
            tops = dict.fromkeys(top for top in (*outer, came_from) if top.startswith(mount))
            unified = next(filter(None, map(_house, tops)), "")
        elif kind == "cgroup":
            for name in options & own.keys() & _CONTROLLERS - split.keys():
                if os.access(mount + own[name], os.W_OK):
                    split[name] = mount + own[name]
    return Boxes(unified, came_from, tuple(split.items()))


def limited() -> frozenset[str]:
    """Which controllers boxes can have here, as far as it shows without making one."""
    own, found = _own(), set[str]()
    for mount, kind, options in _mounts():
        if kind == "cgroup2":
            own_group = mount + own.get("", "")
            tops = [top for top in (mount, own_group.rpartition("/")[0], own_group) if _may(top)]
            found |= {name for top in tops[:1] for name in _controllers(top)}
        else:
            found |= {name for name in options & own.keys() if _may(mount + own[name])}
    return frozenset(found & _CONTROLLERS)


def _may(folder: str) -> bool:
    return os.access(folder, os.W_OK)


def _controllers(folder: str) -> list[str]:
    return read_text(f"{folder}/cgroup.controllers").split()


def leave(boxes: Boxes) -> None:
    """Go back to where this process came from; the house goes when nobody lives in it any more."""
    if boxes.unified and _write(f"{boxes.came_from}/cgroup.procs", "0"):
        for folder in (f"{boxes.unified}/{_SHIMS}", boxes.unified):
            _remove(folder, tries=10)


def box_of(boxes: Boxes, mark: str) -> list[str]:
    """The folders of a run's box; what it is found again by."""
    unified = [f"{boxes.unified}/{mark}"] if boxes.unified else []
    return unified + [f"{parent}/{_HOUSE}-{mark}" for _, parent in boxes.split]


def open_box(box: Iterable[str]) -> None:
    """Make a run's box, as far as its folders may be made."""
    for folder in box:
        _make(folder)


def limit(
    box: Iterable[str], memory: int | None, processes: int, cpus: float | None = None
) -> None:
    """Set a box's limits, as far as its controllers are there."""
    limits = {"pids.max": str(processes)}
    if memory is not None:
        limits |= {
            "memory.max": str(memory),
            "memory.swap.max": "0",
            "memory.limit_in_bytes": str(memory),
            "memory.memsw.limit_in_bytes": str(memory),
        }
    if cpus is not None:
        quota = str(int(cpus * _PERIOD))
        limits |= {"cpu.max": f"{quota} {_PERIOD}", "cpu.cfs_quota_us": quota}
    for folder in box:
        for name, value in limits.items():
            _write(f"{folder}/{name}", value)


def enter(box: Iterable[str]) -> None:
    """Move this process into a box."""
    for folder in box:
        _write(f"{folder}/cgroup.procs", "0")


def _tree(folder: str) -> list[str]:
    """A group and the groups inside it, innermost first."""
    inner: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                inner += _tree(entry.path)
    return [*inner, folder]


def members(box: Iterable[str]) -> set[int]:
    """The processes in a box."""
    return {
        int(pid)
        for top in box
        for folder in _tree(top)
        for pid in read_text(f"{folder}/cgroup.procs").split()
    }


def kill(box: Iterable[str]) -> None:
    """Kill everything in a box at once, where the kernel can (v2)."""
    for folder in box:
        _write(f"{folder}/cgroup.kill", "1")


def close_box(box: Iterable[str]) -> None:
    """Remove a box whose processes are gone; the kernel may need a moment to see that they are."""
    for top in box:
        for folder in _tree(top):
            _remove(folder, tries=50)


def _remove(folder: str, tries: int) -> None:
    for _ in range(tries):
        try:
            os.rmdir(folder)  # noqa: PTH106
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.002)
        else:
            return


def _number(text: str, key: str) -> int:
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0


def cpu_seconds(box: Iterable[str]) -> float:
    """Processor time that a box has used, or 0.0 when it does not say."""
    return max((_number(read_text(f"{f}/cpu.stat"), "usage_usec") / 1e6 for f in box), default=0.0)


def memory_kills(box: Iterable[str]) -> int:
    """How often the kernel killed in a box for want of memory."""
    files = ("memory.events", "memory.oom_control")
    return max(
        (_number(read_text(f"{f}/{name}"), "oom_kill") for f in box for name in files), default=0
    )


def process_refusals(box: Iterable[str]) -> int:
    """How often the kernel refused a box one more process."""
    return max((_number(read_text(f"{f}/pids.events"), "max") for f in box), default=0)
