"""What supervision costs: starting a run, moving its output, ending it; beside the plain thing.

Run it with `python benchmarks/output.py [--megabytes N] [--starts N]`. Every figure is taken next
to its yardstick in the same run, because a busy machine slows both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from muster.domain.redact import Redactor
from muster.runtimes.base import RunSpec
from muster.runtimes.process import ProcessRuntime
from muster.runtimes.rundir import RunDir

LINE = b"2026-11-21T10:00:00.123Z INFO server: handled request 4711 in 12.5 ms path=/api/tasks\n"
SECRETS = ("sk-" + "ant-api03-Zx8Qw7abcdefghijkl", "hunter2-correct-horse", "p" + "4ssw0rd-of-db")
ENV = {"PATH": os.environ["PATH"]}
PIECE = 65536


def shown(name: str, seconds: list[float]) -> float:
    """Print the spread of a time in milliseconds; its median."""
    ordered = sorted(seconds)
    middle = statistics.median(ordered)
    most = ordered[int(len(ordered) * 0.95)]
    times = f"min {ordered[0] * 1e3:6.2f}  p50 {middle * 1e3:6.2f}  p95 {most * 1e3:6.2f} ms"
    print(f"  {name:40} {times}")
    return middle


def fastest(run: Callable[[], object], times: int = 3) -> float:
    """The shortest time of several."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


async def timed(work: Awaitable[object]) -> float:
    """How long this takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


def redaction(data: bytes) -> None:
    """How fast secrets are looked for in ordinary output."""
    stream = Redactor(SECRETS)

    def feed() -> None:
        for at in range(0, len(data), PIECE):
            stream.feed(data[at : at + PIECE])

    def copy() -> None:
        for at in range(0, len(data), PIECE):
            bytearray(data[at : at + PIECE])

    slow, fast = fastest(feed), fastest(copy)
    print(f"redaction, {len(SECRETS)} secrets: {len(data) / slow / 1e6:.0f} MB/s", end="; ")
    print(f"{slow / fast:.0f} times a copy in memory")


async def throughput(runtime: ProcessRuntime, folder: Path, source: Path, size: int) -> None:
    """How fast a program's output reaches the run directory, beside `cat` through a pipe."""
    taken = []
    for n in range(3):
        run = folder / f"flood{n}"
        spec = RunSpec("flood", ("cat", str(source)), str(folder), ENV, secrets=SECRETS)
        start = time.perf_counter()
        await runtime.start(spec, run)
        ended = await runtime.wait(run)
        taken.append(time.perf_counter() - start)
        assert ended.out_bytes == size, ended
    plain = fastest(lambda: piped(source, folder / "copy"))
    print(f"output: {size / min(taken) / 1e6:.0f} MB/s", end="; ")
    print(f"`cat | cat` {size / plain / 1e6:.0f} MB/s; ratio {min(taken) / plain:.1f}")


def piped(source: Path, target: Path) -> None:
    """The same way without supervision: one program writes a pipe, another a file."""
    with (
        target.open("wb") as file,
        subprocess.Popen(["cat", source], stdout=subprocess.PIPE) as one,
    ):
        subprocess.run(["cat"], stdin=one.stdout, stdout=file, check=True)


def plain_start() -> float:
    """How long it takes to start a program with nothing around it."""
    begin = time.perf_counter()
    with subprocess.Popen(["true"], env=ENV):
        return time.perf_counter() - begin


async def starting(runtime: ProcessRuntime, folder: Path, count: int) -> None:
    """What a start and an end take, one after another and at once."""
    print("starting and ending `true`:")
    starts, told, plain = [], [], []
    for n in range(count):
        spec = RunSpec(f"s{n}", ("true",), str(folder), ENV, secrets=SECRETS)
        starts.append(await timed(runtime.start(spec, folder / f"s{n}")))
        ended = await runtime.wait(folder / f"s{n}")
        told.append(time.time() - ended.ended_at)
        plain.append(plain_start())
        await asyncio.sleep(0.1)  # nobody starts agents faster than that one after another
    ours = shown("start", starts[1:])
    theirs = shown("plain subprocess.Popen", plain)
    shown("from its end, fsync included, to known", told)
    print(f"  ratio of the medians {ours / theirs:.1f}")
    begin = time.perf_counter()
    await asyncio.gather(
        *(
            runtime.start(RunSpec(f"m{n}", ("sleep", "600"), str(folder), ENV), folder / f"m{n}")
            for n in range(count)
        )
    )
    print(f"  {count} at once: {(time.perf_counter() - begin) / count * 1e3:.1f} ms each")


def memory(folder: Path, count: int) -> None:
    """What the shims of the runs that live have in memory for themselves alone."""
    private = []
    for n in range(count):
        shim = json.loads((folder / f"m{n}" / "shim.json").read_text())["shim"]
        lines = Path(f"/proc/{shim}/smaps_rollup").read_text().splitlines()
        private.append(sum(int(line.split()[1]) for line in lines if line.startswith("Private")))
    print(f"memory of a shim's own: {statistics.median(private) / 1000:.2f} MB")


async def said_something(runtime: ProcessRuntime, run: Path) -> None:
    """Wait for the first output of a run."""
    grown = asyncio.Event()
    waiting = asyncio.ensure_future(runtime.wait(run, grown.set))
    while not RunDir(run).size("out"):
        await grown.wait()
        grown.clear()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting


async def killing(runtime: ProcessRuntime, folder: Path, count: int) -> None:
    """How long it takes to kill trees of eleven processes, daemons among them."""
    taken = []
    tree = "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sleep 600 &) ; done; echo ready; sleep 600"
    for n in range(count):
        run = folder / f"k{n}"
        await runtime.start(RunSpec(f"k{n}", ("sh", "-c", tree), str(folder), ENV), run)
        await said_something(runtime, run)
        start = time.perf_counter()
        await runtime.kill(run)
        await runtime.wait(run)
        taken.append(time.perf_counter() - start)
    print("killing trees of eleven processes until nothing is left:")
    shown("kill and wait", taken)
    for n in range(count):
        await runtime.kill(folder / f"m{n}")
    await asyncio.gather(*(runtime.wait(folder / f"m{n}") for n in range(count)))


async def hints(runtime: ProcessRuntime, folder: Path) -> None:
    """How soon output is known to a subscriber."""
    grown = asyncio.Event()
    run = folder / "hints"
    spec = RunSpec("h", ("cat",), str(folder), ENV, interactive=True)
    await runtime.start(spec, run)
    waiting = asyncio.ensure_future(runtime.wait(run, grown.set))
    taken, size = [], 0
    for _ in range(50):
        await asyncio.sleep(0.02)
        start = time.perf_counter()
        await runtime.send(run, b"x" * 50)
        while RunDir(run).size("out") <= size:
            await grown.wait()
            grown.clear()
        size = RunDir(run).size("out")
        taken.append(time.perf_counter() - start)
    print("from the program's input to the subscriber of its output:")
    shown("there and back", taken)
    await runtime.kill(run)
    await waiting


async def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--starts", type=int, default=20)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mu-"))
    runtime = ProcessRuntime()
    with contextlib.suppress(OSError):
        print(f"load {' '.join(f'{load:.1f}' for load in os.getloadavg())}")
    try:
        data = LINE * (asked.megabytes * 1_000_000 // len(LINE))
        source = folder / "source"
        source.write_bytes(data)
        redaction(data[:20_000_000])
        await throughput(runtime, folder, source, len(data))
        await starting(runtime, folder, asked.starts)
        memory(folder, asked.starts)
        await killing(runtime, folder, asked.starts)
        await hints(runtime, folder)
    finally:
        await runtime.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    asyncio.run(main())
