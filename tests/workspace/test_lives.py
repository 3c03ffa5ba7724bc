"""Workspaces of every kind, and of agents at work in every place, live through the same."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from contracts.ssh_place import HOME, FarBox, Sshd
from muster.runtimes.base import RunSpec, Runtime
from muster.runtimes.docker import DockerRuntime
from muster.runtimes.process import ProcessRuntime
from muster.runtimes.rundir import RunDir
from muster.runtimes.sandbox import SandboxRuntime
from muster.runtimes.tmux import TmuxRuntime
from muster.workspace.base import Workspace
from workspace.lives import FILES, live

SECONDS = 90


class At:
    """Lets a Python program work in a workspace as the engine lets an agent."""

    def __init__(self, runtime: Runtime, home: Path, interpreter: str) -> None:
        self._runtime = runtime
        self._home = home
        self._interpreter = interpreter
        self._runs = 0

    async def __call__(self, ws: Workspace, argv: tuple[str, ...]) -> None:
        self._runs += 1
        run_dir = self._home / "runs" / f"run{self._runs}"
        private = self._home / "private"
        private.mkdir(exist_ok=True)
        run_dir.parent.mkdir(exist_ok=True)
        git = ws.root / "agent.git"
        spec = RunSpec(
            run_dir.name,
            (self._interpreter, *argv),
            str(ws.tree),
            {"PATH": os.environ["PATH"], "HOME": str(private)},
            writable=(str(git), str(private)),
            readable=(str(git / "config"), str(git / "hooks")),
            folders=(str(ws.tree), str(private)),
        )
        await self._runtime.start(spec, run_dir)
        ended = await asyncio.wait_for(self._runtime.wait(run_dir), SECONDS)
        said = RunDir(run_dir).read("err", 0, 1 << 20).data
        assert (ended.code, ended.why) == (0, "exit"), (ended, said)


@pytest.fixture
def sshd(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    monkeypatch.setenv(HOME, str(home))
    server = Sshd(home.with_name(f"{home.name}-s"))
    server.start()
    server.trust(server.folder)
    yield server
    server.stop()


PLACES = {
    "process": (ProcessRuntime, sys.executable, ()),
    "sandbox": (SandboxRuntime, sys.executable, (pytest.mark.needs_bubblewrap,)),
    "tmux": (TmuxRuntime, sys.executable, (pytest.mark.needs_tmux,)),
    "docker": (DockerRuntime, "python3", (pytest.mark.needs_docker,)),
    "ssh": (FarBox, "python3", (pytest.mark.needs_sshd,)),
}
ENGINES = {"docker": "docker_engine", "ssh": "sshd"}


@pytest.fixture(params=[pytest.param(name, marks=marks) for name, (_, _, marks) in PLACES.items()])
def place(request) -> str:
    """Each place by name, with the engine or server that it needs."""
    if request.param in ENGINES:
        request.getfixturevalue(ENGINES[request.param])
    return request.param


@pytest.fixture
async def put_at(home) -> AsyncIterator[Callable[[str], At]]:
    made: list[Runtime] = []

    def put(place: str) -> At:
        make, interpreter, _ = PLACES[place]
        made.append(make())
        return At(made[-1], home, interpreter)

    yield put
    for runtime in made:
        await runtime.close()


KINDS = [
    pytest.param("overlay", marks=pytest.mark.needs_overlay),
    "clone",
    pytest.param("userns-overlay", marks=pytest.mark.needs_overlay),
    pytest.param("reflink", marks=pytest.mark.needs_xfs),
    pytest.param("btrfs", marks=pytest.mark.needs_btrfs),
]


@pytest.mark.parametrize("backend", KINDS)
async def test_of_every_kind(backend, put_at, make_workspaces, make_project, tmp_path):
    project = make_project(make_workspaces(backend), files=FILES)
    await live(project, put_at("process"), tmp_path / "planted")


@pytest.mark.parametrize("backend", [KINDS[0], pytest.param("clone", marks=pytest.mark.long)])
async def test_of_an_agent_in_every_place(
    backend, place, put_at, make_workspaces, make_project, tmp_path
):
    project = make_project(make_workspaces(backend), files=FILES)
    await live(project, put_at(place), tmp_path / "planted")
