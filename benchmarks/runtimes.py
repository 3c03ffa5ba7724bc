"""What each place of this machine costs: the start of a program, and the memory beside it.

Another machine is this one, over a connection of the loopback that is open already.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.contracts.ssh_place import SSHD, Sshd
from tests.house.dockerd import dockerd

from benchmarks.figures import Broken, Figure, Plan, median
from benchmarks.meters import children
from muster.runtimes.base import RunSpec, Runtime
from muster.runtimes.docker import IMAGE, DockerRuntime
from muster.runtimes.docker_engine import engine
from muster.runtimes.process import ProcessRuntime
from muster.runtimes.rundir import RunDir
from muster.runtimes.sandbox import SandboxRuntime
from muster.runtimes.ssh import SshRuntime
from muster.runtimes.ssh_hosts import hosts
from muster.runtimes.supervised import Supervised
from muster.runtimes.tmux import TmuxRuntime

START_MS, CONTAINER_MS, UP_SECONDS, UP_MB = 30.0, 500.0, 5.0, 400.0
_STARTS, _AGENTS = 8, 50
_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
_HELLO, _WAIT = ("echo", "hello"), ("sleep", "600")
_WRAPPED = (
    *("bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--"),
    *_HELLO,
)
_NETWORK = ("example.org",)
_OTHERS: Mapping[str, Supervised] = {"tmux": TmuxRuntime(), "docker": DockerRuntime()}
"""Places of which only the start is measured."""
_Measured = tuple[str, Runtime, tuple[str, ...]]
"""A place by the name of its figures, and the network that its programs have."""
_MB = 1e6
_REST = 0.15
"""Agents are not started back to back: a shim is kept ready for the next."""


def measure(plan: Plan) -> list[Figure]:
    """Every start is timed beside the bare program's, in turn, because a busy machine slows all."""
    with contextlib.ExitStack() as stack:
        if not plan.tiny and _OTHERS["docker"].available() and _can_serve_containers():
            stack.enter_context(dockerd())
        return asyncio.run(_measure(plan))


def _can_serve_containers() -> bool:
    """Whether an engine of our own can be started here, where none answers."""
    parts = ("dockerd", "docker", "containerd")
    has_all = all(map(shutil.which, parts)) and importlib.util.find_spec("aiodocker") is not None
    return os.geteuid() == 0 and has_all


async def _measure(plan: Plan) -> list[Figure]:
    bare = SandboxRuntime()
    note = bare.available() or ("" if "by bubblewrap" in bare.describe() else bare.describe())
    places: list[tuple[str, Supervised, tuple[str, ...]]] = [("process", ProcessRuntime(), ())]
    if not note:
        places += [("sandbox", bare, ()), ("sandbox with a proxy", bare, _NETWORK)]
    others = {name: place for name, place in _OTHERS.items() if not place.available()}
    no_far = _why_no_far()
    with tempfile.TemporaryDirectory(prefix="mu-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        seldom: list[_Measured] = [(name, place, ()) for name, place in others.items()]
        if not no_far:
            seldom.append(("ssh", stack.enter_context(_far(folder / "s")), ()))
        figures = await _starts(plan, folder, [*places, *seldom])
        for place, runtime, network in places:
            figures += await _crowd(plan, folder, place, runtime, network)
        for _, used, _ in (*places, *seldom):
            await used.close()
    if note:
        name = "sandbox with a proxy: first byte of a program"
        figures.append(Figure(name, None, "ms", START_MS, note=note))
    if "docker" not in others:
        name, note = "docker: first byte of a program", _OTHERS["docker"].available()
        figures.append(Figure(name, None, "ms", CONTAINER_MS, note=note))
    if no_far:
        figures.append(Figure("ssh: first byte of a program", None, "ms", note=no_far))
    return figures


def _why_no_far() -> str:
    """Why no machine can be reached by SSH here, this one being another; else nothing."""
    if os.geteuid() != 0:
        return "needs root, to start a server of its own"
    if importlib.util.find_spec("asyncssh") is None:
        return "asyncssh is not installed"
    missing = [name for name in (SSHD, "ssh-keygen") if shutil.which(name) is None]
    return f"{missing[0]} is not installed" if missing else ""


@contextlib.contextmanager
def _far(folder: Path) -> Iterator[Runtime]:
    """This machine over a loopback connection, by keys and a server of their own."""
    server = Sshd(folder)
    server.start()
    try:
        server.trust(folder)
        yield SshRuntime(hosts(folder)["box"], "ssh:box")
    finally:
        server.stop()


async def _starts(plan: Plan, folder: Path, places: Iterable[_Measured]) -> list[Figure]:
    times: dict[str, list[float]] = {}
    for n in range(plan.rounds * plan.of(_STARTS, 1) + 1):
        took = {"bare program": _bare(_HELLO)}
        if shutil.which("bwrap"):
            took["bubblewrap by itself"] = _bare(_WRAPPED)
        if any(isinstance(runtime, DockerRuntime) for _, runtime, _ in places):
            took["container by itself, until its engine says so"] = await _container()
        for place, runtime, network in places:
            spec = RunSpec("r", _HELLO, str(folder), _ENV, network=network)
            took[place] = await _first_byte(runtime, spec, folder / f"{place}-{n}")
        for name, seconds in took.items() if n else ():  # the first makes the zygotes
            times.setdefault(name, []).append(seconds * 1000)
    bars = {"sandbox with a proxy": START_MS, "docker": CONTAINER_MS}
    return [
        Figure(_named(name), median(taken), "ms", bars.get(name)) for name, taken in times.items()
    ]


def _named(name: str) -> str:
    return name if "," in name else f"{name}: first byte of a program"


def _bare(argv: Sequence[str]) -> float:
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=_ENV) as child:
        assert child.stdout
        child.stdout.read(1)
        return time.perf_counter() - began


async def _container() -> float:
    """Make and start a container that is given nothing: the least that an engine needs."""
    host = {"NetworkMode": "none"}
    config = {"Image": IMAGE, "Entrypoint": [*_WAIT], "HostConfig": host}
    async with engine() as docker:
        await asyncio.sleep(_REST)
        began = time.perf_counter()
        container = await docker.containers.create(config)
        await container.start()
        took = time.perf_counter() - began
        await container.delete(force=True)
    return took


async def _first_byte(runtime: Runtime, spec: RunSpec, run_dir: Path) -> float:
    await asyncio.sleep(_REST)
    began = time.perf_counter()
    await runtime.start(spec, run_dir)
    record = RunDir(run_dir)
    # From another machine output comes only while somebody follows.
    over = asyncio.ensure_future(runtime.wait(run_dir)) if runtime.distance.carried else None
    while not record.size("out") and record.exit() is None:
        await asyncio.sleep(0.0002)
    took = time.perf_counter() - began
    if (await (over or runtime.wait(run_dir))).code != 0:
        raise Broken(f"{run_dir.name}: {record.read('err', 0, 2000).data!r}")
    return took


async def _crowd(
    plan: Plan, folder: Path, place: str, runtime: Supervised, network: tuple[str, ...]
) -> list[Figure]:
    """Many agents at once: how long until all run, and the memory beside their programs."""
    count = plan.of(_AGENTS, 2)
    spec = RunSpec("r", _WAIT, str(folder), _ENV, network=network)
    runs = [folder / f"crowd-{place}-{n}" for n in range(count)]
    before = set(filter(_is_program, _processes()))
    began = time.perf_counter()
    await asyncio.gather(*(runtime.start(replace(spec, run_id=run.name), run) for run in runs))
    while len(set(filter(_is_program, _processes())) - before) < count:
        await asyncio.sleep(0.005)
    took = time.perf_counter() - began
    shims = [json.loads((run / "shim.json").read_text())["shim"] for run in runs]
    beside = [pid for shim in shims for pid in _tree(shim) if not _is_program(pid)]
    used = sum(map(_private, beside)) / _MB
    for run in runs:
        await runtime.kill(run)
        await runtime.wait(run)
    crowded = place.endswith("proxy") and count == _AGENTS
    return [
        Figure(f"{place}: {count} programs up", took, "s", UP_SECONDS if crowded else None),
        Figure(f"{place}: memory beside {count} programs", used, "MB", UP_MB if crowded else None),
        Figure(f"{place}: processes beside each program", len(beside) / count, ""),
    ]


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _is_program(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[:-1] == [word.encode() for word in _WAIT]


def _tree(pid: int) -> list[int]:
    try:
        return [pid, *(inner for child in children(pid) for inner in _tree(child))]
    except OSError:
        return []


def _private(pid: int) -> float:
    """Bytes that only this process has in memory."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(1024.0 * int(line.split()[1]) for line in lines if line.startswith("Private_"))
