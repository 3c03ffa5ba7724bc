"""The docker runtime: what every place does, and what only containers and their engine can do."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from contracts.runtime import ENV, IGNORES_ALL, Place, RuntimeContract, living
from house.all_files import contents
from house.dockerd import Dockerd
from house.patience import PATIENCE, until
from muster.domain.errors import Invalid, NotFound, Refused, Unavailable
from muster.runtimes import image
from muster.runtimes.base import Limits, RunSpec, Why
from muster.runtimes.docker import IMAGE, DockerRuntime
from muster.runtimes.docker_cage import configuration
from muster.runtimes.docker_engine import socket_path
from muster.runtimes.kit import kit
from muster.runtimes.rootfs import Rootfs
from muster.runtimes.rundir import RunDir

TALKS = "echo ready; while read line; do echo got $line; done; exit 6"


def shim_of(record: RunDir) -> int:
    """The process id of a run's shim."""
    return int(json.loads((record.path / "shim.json").read_text())["shim"])


def container_of(record: RunDir) -> str:
    """The id of a run's container."""
    return (record.path / "container").read_text()


@pytest.mark.needs_docker
@pytest.mark.usefixtures("docker_engine")
class TestDockerRuntime(RuntimeContract):
    """The suite for all places, and the faults that only containers can have."""

    interpreter = "python3"
    shim_is_shown_elsewhere = True

    def make_runtime(self) -> DockerRuntime:
        """A fresh object; all of them know each other's runs."""
        return DockerRuntime()

    def limits_memory(self, record: RunDir) -> bool:
        """The engine does it here."""
        del record
        return True

    # --- the engine dies ---

    async def test_a_run_goes_on_through_the_death_and_restart_of_the_engine(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        record = await place.shell(TALKS, interactive=True)
        await place.says(b"ready")
        docker_engine.kill()
        try:
            await place.runtime.send(place.dir(), b"one\n")
            await place.says(b"got one")
        finally:
            docker_engine.start()
        fresh = self.make_runtime()
        await fresh.send(place.dir(), b"two\n")
        await place.says(b"got two")
        assert container_of(record) in docker_engine.docker("ps", "-q", "--no-trunc").stdout
        await fresh.stop(place.dir())
        ended = await place.end(runtime=fresh)
        assert ended.why is Why.STOPPED
        assert place.out() == b"ready\ngot one\ngot two\n"
        await until(lambda: not docker_engine.docker("ps", "-aq").stdout.split())
        await fresh.close()

    async def test_a_run_that_ends_while_the_engine_is_dead_ends_as_any_other(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        await place.shell("read x; echo last; exit 9", interactive=True)
        docker_engine.kill()
        try:
            await place.runtime.send(place.dir(), b"\n")
            ended = await place.end()
        finally:
            docker_engine.start()
        assert (ended.code, ended.why) == (9, Why.EXIT)
        assert place.out() == b"last\n"
        await place.runtime.close()
        # The engine takes a moment to see what ended without it; the janitor comes again too.
        async with asyncio.timeout(PATIENCE):
            while docker_engine.docker("ps", "-aq").stdout.split():
                await DockerRuntime().sweep(place.folder)
                await asyncio.sleep(0.2)

    async def test_without_an_engine_nothing_is_started_and_it_works_when_it_is_back(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        docker_engine.kill()
        try:
            with pytest.raises(Refused) as told:
                await place.shell("exit 3")
            assert self.make_runtime().available()
        finally:
            docker_engine.start()
        assert "cannot be reached" in told.value.detail
        assert told.value.hint
        assert not RunDir(place.dir()).started()
        await place.shell("exit 3")
        assert (await place.end()).code == 3

    # --- the container, the shim or the server dies ---

    async def test_a_container_that_somebody_kills_is_a_lost_run(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        word = f"3{time.monotonic_ns()}"
        record = await place.shell(f"{TALKS.partition(';')[0]}; sleep {word}")
        await place.says(b"ready")
        docker_engine.docker("kill", container_of(record))
        ended = await place.end()
        assert (ended.code, ended.why) == (None, Why.LOST)
        assert "ended from outside" in ended.detail
        assert not living(word)

    async def test_a_run_whose_shim_is_killed_is_lost_and_its_container_gone(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        word = f"5{time.monotonic_ns()}"
        record = await place.shell(f"trap '' INT TERM HUP; echo ready; setsid sleep {word}")
        await place.says(b"ready")
        os.kill(shim_of(record), signal.SIGKILL)
        ended = await place.end()
        assert (ended.code, ended.why) == (None, Why.LOST)
        assert not living(word)
        await until(lambda: not docker_engine.docker("ps", "-aq").stdout.split())

    async def test_a_container_that_nobody_fetched_is_taken_by_the_next_start(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        runtime = DockerRuntime()
        (place.dir() / "door").mkdir(parents=True)
        waiting, _ = await runtime._bring_up(place.spec("sh", "-c", "exit 4"), place.dir())
        record = await place.shell("exit 4")
        assert container_of(record) == waiting
        assert (await place.end()).code == 4

    async def test_a_container_that_cannot_be_started_is_taken_away(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        with pytest.raises(Refused, match="refused"):
            await DockerRuntime("no-such-network").start(place.spec("true"), place.dir())
        assert docker_engine.docker("ps", "-aq").stdout.split() == []
        await place.shell("exit 4")
        assert (await place.end()).code == 4

    async def test_a_container_that_stands_after_its_run_is_swept_and_no_other(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        over = await place.shell("exit 0", name="over")
        await place.end("over")
        await until(lambda: not (over.path / "container").exists())
        live = await place.shell("read x", name="live", interactive=True)
        label = f"muster.run_dir={over.path}"
        left = docker_engine.docker("create", "--label", label, IMAGE, "true").stdout.strip()
        foreign = docker_engine.docker("create", "--label", label, IMAGE, "true").stdout.strip()
        (over.path / "container").write_text(left)
        assert await DockerRuntime().sweep(place.folder) == [left]
        there = docker_engine.docker("ps", "-aq", "--no-trunc").stdout.split()
        assert set(there) == {foreign, container_of(live)}
        docker_engine.docker("rm", foreign)

    # --- what is kept where ---

    async def test_the_engine_stores_neither_environment_nor_secrets_nor_output(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        secret = "hunter2-correct-horse"
        record = await place.shell(
            "echo $TOKEN; read x",
            env={**ENV, "TOKEN": secret},
            secrets=(secret,),
            interactive=True,
        )
        await place.says(b"***")
        told = docker_engine.docker("inspect", container_of(record)).stdout
        kept = b"".join(held for _, held in contents(docker_engine.folder / "data/containers"))
        assert secret not in told
        assert secret.encode() not in kept

    async def test_an_image_needs_no_python_and_a_run_can_name_its_own(
        self, place: Place, docker_engine: Dockerd, tmp_path: Path
    ) -> None:
        with (tmp_path / "bare.tar").open("wb") as target:
            bare = Rootfs(target)
            for name in ("sh", "ls", "cat"):
                bare.program(Path(shutil.which(name) or ""), name)
            bare.close()
        docker_engine.docker("import", str(tmp_path / "bare.tar"), "muster-test/bare")
        await place.shell("ls /usr/bin; cat; exit 7", image="muster-test/bare", stdin=b"fed\n")
        assert (await place.end()).code == 7
        assert place.out() == b"cat\nls\nsh\nfed\n"

    async def test_a_program_that_is_elsewhere_in_the_image_is_found_there(
        self, place: Place
    ) -> None:
        await place.start("/home/somebody/bin/sh", "-c", "echo here; exit 7")
        assert (await place.end()).code == 7
        assert place.out() == b"here\n"

    async def test_an_image_that_is_not_there_is_named_with_a_way_to_get_it(
        self, place: Place
    ) -> None:
        with pytest.raises(Refused) as told:
            await place.start("true", image="no-such/image:1")
        assert "no-such/image:1" in told.value.detail
        assert "docker pull no-such/image:1" in told.value.hint
        assert not RunDir(place.dir()).started()

    async def test_processors_are_limited_where_it_is_asked_for(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        record = await place.shell("read x", limits=Limits(cpus=0.5), interactive=True)
        said = json.loads(docker_engine.docker("inspect", container_of(record)).stdout)
        assert said[0]["HostConfig"]["NanoCpus"] == 500_000_000

    async def test_a_program_that_ignores_signals_leaves_no_container(
        self, place: Place, docker_engine: Dockerd
    ) -> None:
        await place.python(IGNORES_ALL)
        await place.says(b"ready")
        await place.runtime.kill(place.dir())
        await place.end()
        await until(lambda: not docker_engine.docker("ps", "-aq").stdout.split())

    async def test_the_place_proves_itself_by_a_run(self) -> None:
        assert DockerRuntime().available() == ""


# --- images ---------------------------------------------------------------------------------------


@pytest.mark.needs_docker
async def test_an_image_of_this_machine_can_do_an_agents_work(
    docker_engine: Dockerd, tmp_path: Path
) -> None:
    agent = tmp_path / "agent"
    (agent / "bin").mkdir(parents=True)
    (agent / "bin" / "my-agent").write_text("#!/bin/sh\necho works\n")
    (agent / "bin" / "my-agent").chmod(0o755)
    made = await image.assembled("muster-test/agent:1", {"/opt/agent": agent})
    assert (made.name, made.size > 1_000_000) == ("muster-test/agent:1", True)
    said = docker_engine.docker(
        *("run", "--rm", "--network=none", "--user=1000:1000", made.name, "sh", "-ec"),
        "/opt/agent/bin/my-agent; cd /tmp; git init -q r; cd r; echo x > x; git add x; "
        "git -c user.name=a -c user.email=b commit -qm one; git log --format=%s; "
        "python3 -c 'import ssl, sqlite3, asyncio, unittest, venv; print(ssl.OPENSSL_VERSION)'; "
        "find / -xdev -perm /6000 -type f",
    )
    lines = said.stdout.splitlines()
    assert lines[:2] == ["works", "one"]
    assert lines[2].startswith("OpenSSL")
    assert len(lines) == 3


@pytest.mark.needs_docker
async def test_the_same_machine_makes_the_same_image(docker_engine: Dockerd) -> None:
    first = await image.image(IMAGE)
    assert (await image.assembled(IMAGE)).id == first.id


@pytest.mark.needs_docker
async def test_an_image_is_built_from_a_dockerfile_and_a_failing_step_is_told(
    docker_engine: Dockerd, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo tool > /tool\n")
    await image.built("muster-test/built:1", tmp_path)
    said = docker_engine.docker(
        "run", "--rm", "--network=none", "muster-test/built:1", "cat", "/tool"
    )
    assert said.stdout == "tool\n"
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN exit 3\n")
    with pytest.raises(Refused, match="could not be built"):
        await image.built("muster-test/built:2", tmp_path)
    with pytest.raises(NotFound):
        await image.built("muster-test/built:2", tmp_path / "none")
    with pytest.raises(NotFound, match="no program 'no-such-program'"):
        await image.assembled("muster-test/x", programs=["no-such-program"])
    with pytest.raises(NotFound):
        await image.image("muster-test/built:2")


# --- what may be shown ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/proc", "/sys/fs", "/dev", "relative", "/tmp/../etc"])
def test_a_folder_that_leads_to_the_machine_is_not_shown(path: str, tmp_path: Path) -> None:
    spec = RunSpec("run", ("true",), str(tmp_path), writable=(path,))
    with pytest.raises(Invalid):
        configuration(spec, tmp_path, kit(), IMAGE, "none", Path("/run/docker.sock"))


def test_no_folder_that_holds_the_engines_socket_is_shown(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "docker.sock").touch()
    (tmp_path / "link").symlink_to(inner)
    for shown in (tmp_path, inner, tmp_path / "link", inner / "docker.sock"):
        spec = RunSpec("run", ("true",), "/", readable=(str(shown),))
        with pytest.raises(Invalid, match="leads to the machine"):
            configuration(spec, tmp_path, kit(), IMAGE, "none", inner / "docker.sock")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    spec = RunSpec("run", ("true",), "/", writable=(f"{tmp_path}/none",))
    with pytest.raises(Refused, match="none"):
        configuration(spec, tmp_path, kit(), IMAGE, "none", Path("/run/docker.sock"))


# --- without an engine ----------------------------------------------------------------------------


async def test_an_engine_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(Unavailable, match="only an engine of this machine"):
        socket_path()
    assert "only an engine of this machine" in DockerRuntime().available()


async def test_a_missing_engine_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    why_not = DockerRuntime().available()
    assert "no Docker engine listens" in why_not
    assert "install and start Docker" in why_not
