"""Runs where the machine offers less, or is in trouble: no control groups, a full disk, a run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contracts.runtime import DOUBLE_FORK, Place, living
from house.patience import until
from muster.runtimes import cgroups, leftovers
from muster.runtimes.base import RunSpec, Why
from muster.runtimes.layout import MARK, read_json
from muster.runtimes.leftovers import Traces
from muster.runtimes.process import ProcessRuntime
from muster.runtimes.rundir import RunDir

STARTER = """
import asyncio, pathlib, sys
from muster.runtimes.base import RunSpec
from muster.runtimes.process import ProcessRuntime

async def main(folder, path, *argv):
    runtime = ProcessRuntime()
    run = pathlib.Path(folder, "run")
    spec = RunSpec("run", argv, folder, {"PATH": path}, interactive=True)
    await runtime.start(spec, run)
    print("started", flush=True)
    print((await runtime.wait(run)).why, flush=True)
    await runtime.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def place(home: Path) -> AsyncIterator[Place]:
    """The process runtime and a folder."""
    runtime = ProcessRuntime()
    yield Place(runtime, home)
    await runtime.close()


@contextlib.contextmanager
def started_without_groups(place: Place, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run whose shim sees no control groups, and the process that waits for it."""
    blind = 'umount --all --lazy --types cgroup,cgroup2 && exec "$@"'
    starter = subprocess.Popen(
        [
            *("unshare", "--mount", "sh", "-c", blind, "sh", sys.executable, "-c", STARTER),
            *(str(place.folder), os.environ["PATH"], *argv),
        ],
        stdout=subprocess.PIPE,
    )
    assert starter.stdout
    with starter, starter.stdout:
        assert starter.stdout.readline() == b"started\n"
        yield starter
        starter.stdout.read()


@pytest.mark.needs_root
async def test_without_control_groups_a_daemon_is_still_found_by_descent(place: Place) -> None:
    word = f"3{time.monotonic_ns()}"
    with started_without_groups(place, sys.executable, "-c", DOUBLE_FORK, word):
        ended = await place.end()
    assert (ended.code, ended.left) == (0, 1)
    assert not living(word)
    traces = Traces.read(str(place.dir()))
    assert traces
    assert traces.box == ()


@pytest.mark.needs_root
async def test_without_control_groups_a_lost_run_is_cleared_by_mark_and_session(
    place: Place,
) -> None:
    marked, unmarked = f"2{time.monotonic_ns()}", f"1{time.monotonic_ns()}"
    line = f"(setsid sleep {marked} &); env -i sleep {unmarked} & echo ready; wait"
    with started_without_groups(place, "sh", "-c", line) as starter:
        await place.says(b"ready")
        await until(lambda: living(marked) and living(unmarked))
        traces = Traces.read(str(place.dir()))
        assert traces
        os.kill(traces.shim, signal.SIGKILL)
        assert starter.stdout
        assert starter.stdout.readline() == b"lost\n"
    assert not living(marked)
    assert not living(unmarked)


@pytest.mark.needs_root
async def test_without_control_groups_processor_time_is_that_of_the_tree(place: Place) -> None:
    with started_without_groups(place, "sh", "-c", "while :; do :; done"):
        await until(lambda: place.runtime.cpu_seconds(place.dir()) > 0.05)
        await place.runtime.kill(place.dir())
        assert (await place.end()).cpu_seconds > 0.05


async def test_a_run_inside_a_run_ends_with_the_outer_one(place: Place) -> None:
    word = f"33{time.monotonic_ns()}"
    inner = place.folder / "inner"
    inner.mkdir()
    env = {"PATH": os.environ["PATH"]}
    argv = (sys.executable, "-c", STARTER, str(inner), env["PATH"], "sleep", word)
    outer = RunSpec("outer", argv, str(place.folder), env)
    await place.runtime.start(outer, place.dir())
    await place.says(b"started")
    inside = RunDir(inner / "run")
    await until(lambda: living(word))
    await place.runtime.kill(place.dir())
    assert (await place.end()).why is Why.KILLED
    assert not living(word)
    assert not inside.alive()
    ended = await place.runtime.wait(inner / "run")
    assert ended.why is Why.LOST


async def test_a_run_of_another_boot_costs_no_innocent_process_its_life(place: Place) -> None:
    innocent = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    traces = Traces("no-such-mark", boot="another", shim=1, session=innocent.pid, since=5)
    assert leftovers.clear(traces) == (0, True)
    reused = Traces("no-such-mark", boot=leftovers.boot_id(), session=innocent.pid, since=5)
    assert leftovers.clear(reused) == (0, True)
    assert innocent.returncode is None
    innocent.kill()
    await innocent.wait()


def test_a_mark_is_only_found_whole() -> None:
    mark = f"m{time.monotonic_ns()}"
    others = {"X": f"{MARK}={mark}", MARK: mark[:-1]}
    with (
        subprocess.Popen(["sleep", "600"], env={MARK: mark}) as whole,
        subprocess.Popen(["sleep", "600"], env=others) as other,
    ):
        try:
            found = leftovers.marked(mark)
        finally:
            whole.kill()
            other.kill()
    assert found == {whole.pid}


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A file system with room for one megabyte."""
    folder = home / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.needs_root
async def test_on_a_full_disk_output_waits_for_room_and_none_is_lost(
    small_disk: Path, place: Place
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 600_000)
    run = small_disk / "run"
    code = "import sys; sys.stdout.buffer.write(bytes(range(250)) * 3000)"
    spec = place.spec(sys.executable, "-c", code)
    await place.runtime.start(spec, run)
    record = RunDir(run)
    await until(lambda: record.size("out") > 100_000)
    filler.unlink()
    ended = await place.runtime.wait(run)
    assert (ended.code, ended.out_bytes, ended.detail) == (0, 750_000, "")
    assert record.read("out", 0, 1 << 20).data == bytes(range(250)) * 3000
    assert record.log_size() == 750_000


@pytest.mark.needs_root
async def test_what_a_full_disk_never_takes_is_said_to_be_lost(
    small_disk: Path, place: Place
) -> None:
    run = small_disk / "run"
    await place.runtime.start(place.spec("head", "-c", "3000000", "/dev/zero"), run)
    await until(lambda: RunDir(run).size("out") > 900_000)
    await place.runtime.kill(run)
    ended = await place.runtime.wait(run)
    assert ended.why is Why.KILLED
    assert "bytes of out were lost: the disk is full" in ended.detail
    assert RunDir(run).size("out") == ended.out_bytes


def test_no_place_for_boxes_means_none(tmp_path: Path) -> None:
    assert cgroups.members([str(tmp_path / "none")]) == set()
    assert cgroups.cpu_seconds([]) == 0.0
    assert cgroups.memory_kills([str(tmp_path)]) == 0
    cgroups.enter([str(tmp_path / "none")])
    cgroups.close_box([str(tmp_path / "none")])


def test_a_document_that_is_none_is_not_there(tmp_path: Path) -> None:
    assert read_json(str(tmp_path / "x")) is None
    (tmp_path / "x").write_text("[1]")
    assert read_json(str(tmp_path / "x")) is None
