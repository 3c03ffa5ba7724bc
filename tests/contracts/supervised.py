"""What every place of this machine must do, also when its shims are mistreated."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from contracts.runtime import (
    BY_THE_SHIM,
    DOUBLE_FORK,
    IGNORES_ALL,
    READY,
    Place,
    RuntimeContract,
    living,
)
from house.patience import until
from muster.domain.errors import Conflict
from muster.runtimes.base import Limits, Why
from muster.runtimes.rundir import RunDir
from muster.runtimes.supervised import Supervised


def shim_of(record: RunDir) -> int:
    """The process id of a run's shim."""
    return int(json.loads((record.path / "shim.json").read_text())["shim"])


def box_of(record: RunDir) -> list[Path]:
    """The folders of a run's box that are there now."""
    box = json.loads((record.path / "shim.json").read_text())["box"]
    return [Path(folder) for folder in box if Path(folder).exists()]


def is_cpu_limited(record: RunDir) -> bool:
    """Whether the run's box has the processor controller."""
    names = ("cpu.max", "cpu.cfs_quota_us")
    return any((folder / name).exists() for folder in box_of(record) for name in names)


def times_held_back(record: RunDir) -> int:
    """How often a live run had to wait for its processor time."""
    files = [folder / "cpu.stat" for folder in box_of(record)]
    lines = [line.split() for f in files if f.exists() for line in f.read_text().splitlines()]
    return max((int(value) for name, value in lines if name == "nr_throttled"), default=0)


def zygote_of(place: Place) -> int:
    """The process id of the zygote."""
    runtime = place.runtime
    assert isinstance(runtime, Supervised)
    assert runtime._zygote
    return runtime._zygote._process.pid


def state_of(pid: int) -> str:
    """The state of a process as in /proc/PID/stat."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def peak_memory(pid: int) -> int:
    """The most bytes a process ever had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


class SupervisedContract(RuntimeContract):
    """The suite for all places, and the faults that only shims can have."""

    def limits_memory(self, record: RunDir) -> bool:
        """Whether the run's box has the memory controller."""
        names = ("memory.max", "memory.limit_in_bytes")
        return any((folder / name).exists() for folder in box_of(record) for name in names)

    async def test_a_program_dies_with_its_shim_though_nobody_waits(self, place: Place) -> None:
        word = f"44{time.monotonic_ns()}"
        record = await place.shell(f"{READY} exec sleep {word}")
        await place.says(b"ready")
        os.kill(shim_of(record), signal.SIGKILL)
        await until(lambda: not living(word))
        assert record.exit() is None

    @BY_THE_SHIM
    async def test_more_watchers_than_a_shim_serves_all_hear_of_the_end(self, place: Place) -> None:
        await place.shell("read x; exit 4", interactive=True)
        waiting = [asyncio.ensure_future(place.end()) for _ in range(600)]
        await asyncio.sleep(0)
        await place.runtime.send(place.dir(), b"\n")
        assert {ended.code for ended in await asyncio.gather(*waiting)} == {4}

    async def test_a_run_whose_shim_is_killed_is_lost_and_nothing_is_left(
        self, place: Place
    ) -> None:
        word = f"5{time.monotonic_ns()}"
        record = await place.python(DOUBLE_FORK + "time.sleep(600)\n", word)
        await place.says(b"ready")
        await until(lambda: living(word))
        boxes = box_of(record)
        os.kill(shim_of(record), signal.SIGKILL)
        ended = await place.end()
        assert (ended.code, ended.why) == (None, Why.LOST)
        assert ended.out_bytes == len(b"ready\n")
        assert not living(word)
        assert not [folder for folder in boxes if folder.exists()]
        assert await place.end() == ended

    @BY_THE_SHIM
    async def test_several_who_wait_agree_on_a_lost_run(self, place: Place) -> None:
        record = await place.python(IGNORES_ALL)
        await place.says(b"ready")
        waiting = [asyncio.ensure_future(place.end()) for _ in range(4)]
        await asyncio.sleep(0)
        os.kill(shim_of(record), signal.SIGKILL)
        ended = await asyncio.gather(*waiting)
        assert {one.why for one in ended} == {Why.LOST}
        assert len(set(ended)) == 1

    @BY_THE_SHIM
    async def test_killing_a_run_whose_shim_is_gone_kills_what_it_left(self, place: Place) -> None:
        word = f"4{time.monotonic_ns()}"
        record = await place.python(DOUBLE_FORK + "time.sleep(600)\n", word)
        await place.says(b"ready")
        shim = shim_of(record)
        os.kill(shim, signal.SIGKILL)
        await until(lambda: not record.alive())
        await place.runtime.kill(place.dir())
        assert not living(word)
        exited = record.exit()
        assert exited
        assert exited.why is Why.LOST

    @BY_THE_SHIM
    async def test_a_dead_zygote_is_replaced(self, place: Place) -> None:
        await place.shell("exit 1", name="one")
        assert (await place.end("one")).code == 1
        zygote = zygote_of(place)
        os.kill(zygote, signal.SIGKILL)
        await until(lambda: state_of(zygote) == "Z")
        await place.shell("exit 2", name="two")
        assert (await place.end("two")).code == 2

    @BY_THE_SHIM
    async def test_runs_go_on_when_the_zygote_is_gone(self, place: Place) -> None:
        await place.shell("read x; exit 8", interactive=True)
        os.kill(zygote_of(place), signal.SIGKILL)
        await place.runtime.send(place.dir(), b"\n")
        assert (await place.end()).code == 8

    @BY_THE_SHIM
    async def test_a_shim_stays_small_in_a_flood(self, place: Place) -> None:
        record = await place.shell(
            "head -c 150000000 /dev/zero; read x",
            interactive=True,
            limits=Limits(head_bytes=100_000, tail_bytes=100_000),
        )
        await until(lambda: record.size("out") == 150_000_000)
        assert peak_memory(shim_of(record)) < 30_000_000  # of which most is shared

    @BY_THE_SHIM
    async def test_a_box_is_gone_after_its_run(self, place: Place) -> None:
        record = await place.shell("read x", interactive=True)
        boxes = box_of(record)
        if not boxes:
            pytest.skip("this machine lets us make no control groups")
        await place.runtime.kill(place.dir())
        await place.end()
        assert not [folder for folder in boxes if folder.exists()]

    async def test_a_run_directory_with_a_long_path_works(self, place: Place) -> None:
        deep = place.folder / ("d" * 100) / ("e" * 100)
        spec = place.spec("sh", "-c", "read x; exit 3", interactive=True)
        await place.runtime.start(spec, deep)
        await place.runtime.send(deep, b"\n")
        assert (await place.runtime.wait(deep)).code == 3

    @BY_THE_SHIM
    async def test_too_many_processes_are_refused_to_the_program(self, place: Place) -> None:
        record = await place.shell(
            "for i in $(seq 40); do sleep 600 & done; echo all", limits=Limits(processes=10)
        )
        if not any("pids" in str(folder) for folder in box_of(record)):
            pytest.skip("this machine cannot limit the number of processes")
        ended = await place.end()
        assert b"all" not in place.out()
        assert ended.left <= 10
        assert ended.left or not self.counts_what_is_left

    @BY_THE_SHIM
    async def test_who_wants_more_processor_time_than_it_may_have_is_held_back(
        self, place: Place
    ) -> None:
        record = await place.python(
            "print('ready', flush=True)\nwhile True: pass", limits=Limits(cpus=0.2)
        )
        await place.says(b"ready")
        if not is_cpu_limited(record):
            pytest.skip("this machine cannot limit processor time")
        await until(lambda: times_held_back(record) > 3)
        await place.runtime.kill(place.dir())

    @BY_THE_SHIM
    async def test_the_input_of_an_interactive_program_can_be_ended(self, place: Place) -> None:
        runtime = self.make_runtime()
        assert isinstance(runtime, Supervised)
        await place.shell("wc -c", interactive=True)
        await runtime.send(place.dir(), b"12345")
        await runtime.end_input(place.dir())
        assert (await place.end()).code == 0
        assert place.out().strip() == b"5"
        with pytest.raises(Conflict):
            await runtime.end_input(place.dir())

    @BY_THE_SHIM
    async def test_a_terminated_shim_ends_its_run_properly(self, place: Place) -> None:
        record = await place.shell("echo ready; sleep 600")
        await place.says(b"ready")
        os.kill(shim_of(record), signal.SIGTERM)
        assert (await place.end()).why is Why.STOPPED
