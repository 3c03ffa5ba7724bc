"""Containers of the Docker engine on this machine, each run under the same shim as any process.

The facts: a run is one container, removed when it is over. The engine creates and starts it and
has no part in it afterwards: streams, environment and secrets go through the run's door
(`door`) and are never in what the engine stores, so that its death and its restart with
`--live-restore` are not noticed; restarted without, it kills what it ran, and the run is `lost`.
Who may use the engine is root on its machine: no container ever sees its socket.

What is kept in: no capabilities, no new privileges, the engine's seccomp filter, a read-only image,
nothing of this machine but the run's own folders, no network unless one is named; memory, processor
and process limits by the engine; the size of the run's folders by the shim, which counts now and
then. What is not: the kernel, which all containers share. The program has the server's own user id,
because it has to work on the server's files.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typing_extensions import override

from muster.domain.errors import Refused
from muster.failpoint import failpoint
from muster.runtimes import leftovers
from muster.runtimes.base import Distance, Exit, RunSpec
from muster.runtimes.decoys import git_folder, in_container
from muster.runtimes.docker_cage import RUN_DIR, configuration
from muster.runtimes.docker_engine import (
    IN_CONFLICT,
    NOT_FOUND,
    EngineRefused,
    engine,
    socket_path,
)
from muster.runtimes.egress import rules
from muster.runtimes.kit import ROOT, kit
from muster.runtimes.layout import read_text, write_at_once
from muster.runtimes.rundir import RunDir
from muster.runtimes.supervised import Supervised, order_of, prepare, prove, why_no_shims

log = logging.getLogger("muster.runtimes")

IMAGE = "passmuster/agent:latest"
"""The image of runs that name none; `muster.runtimes.image` builds it."""

_RECORD = "container"
_TRIES = 50
_LOOKS, _LOOK_AGAIN = 400, 0.005
_PATIENCE = 20.0


class DockerRuntime(Supervised):
    """Runs programs in containers; `network` is a network of the engine's, or none."""

    name = "docker"
    zygote = "contained"
    distance = Distance(contains=True, mounted=True)
    """The engine binds folders as the machine sees them, not as this server does."""

    def __init__(self, network: str = "none") -> None:
        super().__init__()
        self._network = network
        self._proven = False
        self._removals: set[asyncio.Future[None]] = set()

    def available(self) -> str:
        """An empty string when `true` has run in a container, else the reason why it cannot."""
        if why_not := why_no_shims():
            return why_not
        if not self._proven:
            why_not = prove(DockerRuntime)
            self._proven = not why_not
        return why_not

    def describe(self) -> str:
        """How far a program is contained here."""
        return (
            "contained in a container without capabilities: sees its workspace and its image, "
            "reaches what is allowed through a proxy; shares the kernel and the server's user id"
        )

    @override
    def cage(self, spec: RunSpec, run_dir: Path) -> dict[str, Any]:
        """Where the shim finds the container's door, and what may be reached from there.

        Raises:
            Invalid: a rule of its network is none.
        """
        rules(spec.network)
        folder = str(run_dir)
        return {
            "folder": folder,
            "door": f"{folder}/door",
            "cwd": spec.cwd,
            "network": list(spec.network),
            "git": git_folder(spec),
            "decoys": in_container(spec, run_dir),
        }

    @override
    async def start(self, spec: RunSpec, run_dir: Path) -> None:
        """Start the program once, in a container of its own; see `Runtime.start`.

        Raises:
            Invalid: a secret is too short to be hidden, or a folder may not be shown.
            Refused: no container or no supervisor can be started here.
        """
        run_dir = _absolute(run_dir)
        cage, door = self.cage(spec, run_dir), run_dir / "door"
        order_of(spec, run_dir, cage)
        if not prepare(run_dir):
            return
        door.mkdir(mode=0o700, exist_ok=True)
        failpoint("run.before_spawn")
        container, first = await self._bring_up(spec, run_dir)
        write_at_once(str(run_dir), _RECORD, container.encode())
        try:
            await self._begin(order_of(spec, run_dir, cage, first), run_dir)
        except BaseException:
            await _removed(container)
            raise

    @override
    async def wait(self, run_dir: Path, on_output: Callable[[], None] | None = None) -> Exit:
        """Return when the run is over and nothing of it is left; see `Runtime.wait`."""
        ended = await super().wait(run_dir, on_output)
        if _recorded(run_dir):
            # Nobody has to wait for it; what a dying server leaves is for `sweep`.
            removal = asyncio.ensure_future(_let_go(run_dir))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)
        return ended

    @override
    async def close(self) -> None:
        """Let go of helpers of this process; runs go on."""
        await asyncio.gather(*self._removals)
        await super().close()

    async def sweep(self, runs: Path) -> list[str]:
        """Remove containers that stand there still though their run below `runs` is over.

        Only those whose run directory has recorded them; answers their ids.
        """
        async with engine() as docker:
            wanted = json.dumps({"label": [RUN_DIR]})
            found = await docker.containers.list(all=True, filters=wanted)
        swept = []
        for container in found:
            run_dir = Path(container["Labels"][RUN_DIR])
            own = run_dir.is_relative_to(_absolute(runs)) and _recorded(run_dir)
            if own == container.id and RunDir(run_dir).exit() is not None:
                await _let_go(run_dir)
                swept.append(str(container.id))
        return swept

    async def _bring_up(self, spec: RunSpec, run_dir: Path) -> tuple[str, list[tuple[int, int]]]:
        """A container that waits at the run's door: its id, and its first process."""
        image = spec.image or IMAGE
        own = await asyncio.to_thread(kit)
        config = configuration(spec, run_dir, own, image, self._network, socket_path())
        container = await _created(config, _name(spec.run_id, run_dir), run_dir)
        try:
            async with engine() as docker:
                found = docker.containers.container(container)
                await found.start()
                state = (await found.show())["State"]
        except EngineRefused:  # nobody else would know of it
            await _removed(container)
            raise
        return container, await _first_process(int(state["Pid"]))


async def _created(config: dict[str, Any], name: str, run_dir: Path) -> str:
    """The id of a container of this name, made now, or before by who asks for the same run."""
    for _ in range(_TRIES):
        try:
            async with engine() as docker:
                return str((await docker.containers.create(config, name=name)).id)
        except EngineRefused as refused:
            if refused.answer == NOT_FOUND:
                raise _no_image(config["Image"]) from refused
            if refused.answer != IN_CONFLICT:
                raise
        if found := await _found(name, run_dir):
            return found
        await asyncio.sleep(_LOOK_AGAIN)
    raise Refused(
        f"the Docker engine has a container called {name} that is at its end and does not go",
        hint=f"docker rm -f {name}",
    )


async def _found(name: str, run_dir: Path) -> str:
    """The id of the run's own container if it can be used still."""
    with contextlib.suppress(EngineRefused):
        async with engine() as docker:
            said = await (await docker.containers.get(name)).show()
            if said["Config"]["Labels"].get(RUN_DIR) != str(run_dir):
                return ""
            if said["State"]["Status"] in ("created", "running"):
                return str(said["Id"])
            await docker.containers.container(said["Id"]).delete(force=True)
    return ""


def _no_image(image: str) -> Refused:
    how = "muster image build" if image == IMAGE else f"docker pull {image}"
    return Refused(f"the Docker engine has no image {image}", hint=f"get it by: {how}")


def _name(run_id: str, run_dir: Path) -> str:
    """A name that is the same for who asks for the same run, and no other's."""
    readable = re.sub(r"[^A-Za-z0-9_.-]", "-", run_id)[:40]
    return f"muster-{readable}-{hashlib.sha256(str(run_dir).encode()).hexdigest()[:12]}"


async def _first_process(pid: int) -> list[tuple[int, int]]:
    """A container's first process as this machine numbers it; nothing if it is not seen here.

    It is known by its command line, because an engine elsewhere would tell another's number.
    """
    for _ in range(_LOOKS):
        seen = leftovers.stat(pid)
        if seen is None:
            break
        if read_text(f"/proc/{pid}/cmdline").startswith(f"{ROOT}/"):
            return [(pid, seen.since)]
        await asyncio.sleep(_LOOK_AGAIN)
    return []


def _absolute(path: Path) -> Path:
    return path.absolute()


def _recorded(run_dir: Path) -> str:
    try:
        return (run_dir / _RECORD).read_text("ascii")
    except FileNotFoundError:
        return ""


async def _let_go(run_dir: Path) -> None:
    """Remove the container of a run that is over, and the record of it."""
    if await _removed(_recorded(run_dir)):
        (run_dir / _RECORD).unlink(missing_ok=True)


async def _removed(container: str) -> bool:
    """Have the engine end and remove a container; False when it does not answer."""
    try:
        async with engine(_PATIENCE) as docker:
            await docker.containers.container(container).delete(force=True)
    except EngineRefused as refused:
        if refused.answer not in (NOT_FOUND, IN_CONFLICT):  # gone, or about to be
            log.warning("container %s stays: %s", container, refused.detail)
            return False
    return True
