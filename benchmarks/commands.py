"""What a command costs: processor time of `muster --help` and `muster task list --json`."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.figures import Broken, Figure, Plan, median
from benchmarks.meters import run_child, warm_environment
from benchmarks.server import own_agent, running

RUNS = 15
HELP_MS, LIST_MS = 60.0, 100.0


def program() -> list[str]:
    """The installed command, else the module."""
    beside = Path(sys.executable).parent / "muster"
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "muster"]


def measure(plan: Plan) -> list[Figure]:
    """Median of many runs with byte code on disk; the interpreter's own start is told beside it."""
    with running(own_agent("none", ("/bin/true",))) as server:
        server.submit("none")
        home = ["--home", str(server.home)]
        lines = {
            "muster --help": ([*program(), "--help"], HELP_MS),
            "muster task list --json": ([*program(), *home, "task", "list", "--json"], LIST_MS),
            "python -c pass": ([sys.executable, "-c", "pass"], None),
        }
        return [
            Figure(f"{name}: CPU", _cpu_ms(argv, plan), "ms", bar)
            for name, (argv, bar) in lines.items()
        ]


def _cpu_ms(argv: list[str], plan: Plan) -> float:
    env = warm_environment()
    first = run_child(argv, env)  # makes the byte code
    if first.code:
        raise Broken(f"{' '.join(argv)} ended with status {first.code}")
    runs = plan.rounds * plan.of(RUNS, 1)
    return median([run_child(argv, env).cpu_seconds for _ in range(runs)]) * 1000
