"""What it costs to run a program under a shim, beside a plain child process."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from benchmarks.figures import Broken, Figure, Plan, median
from benchmarks.meters import warm_environment
from benchmarks.server import scratch
from muster.runtimes.base import RunSpec
from muster.runtimes.process import ProcessRuntime

RUNS = 30
PROGRAM = ("/bin/true",)


def measure(plan: Plan) -> list[Figure]:
    """From the order to the known end: milliseconds under a shim, plain, and their ratio."""
    shim, plain = asyncio.run(_both(plan))
    return [
        Figure("a program under its shim, start to end", shim, "ms"),
        Figure("the same as a plain child", plain, "ms"),
        Figure("shim to plain", shim / plain, "times"),
    ]


async def _both(plan: Plan) -> tuple[float, float]:
    runtime = ProcessRuntime()
    shims, plains = [], []
    with scratch() as folder:
        try:
            await _under_shim(runtime, folder / "first", folder)
            for number in range(plan.rounds * plan.of(RUNS, 2)):
                shims.append(await _under_shim(runtime, folder / str(number), folder))
                plains.append(await _plain(folder))
        finally:
            await runtime.close()
    return median(shims), median(plains)


async def _under_shim(runtime: ProcessRuntime, run_dir: Path, folder: Path) -> float:
    env = {"PATH": os.defpath}
    began = time.monotonic()
    await runtime.start(RunSpec(run_dir.name, PROGRAM, str(folder), env), run_dir)
    ending = await runtime.wait(run_dir)
    spent = time.monotonic() - began
    if ending.code != 0:
        raise Broken(f"{PROGRAM[0]} ended with {ending}")
    return spent * 1000


async def _plain(folder: Path) -> float:
    began = time.monotonic()
    child = await asyncio.create_subprocess_exec(*PROGRAM, cwd=folder, env=warm_environment())
    await child.wait()
    return (time.monotonic() - began) * 1000
