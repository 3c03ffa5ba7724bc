"""What muster adds to a task: its whole walk, less the agent's and the project's own commands."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Plan, median
from benchmarks.meters import cpu_seconds, warm_environment
from benchmarks.server import PLACE, Server, one_task, own_agent, running, scratch

TASKS = 10
BAR_MS = 100.0
AGENT = ("/bin/sh", "-c", 'echo "$MUSTER_TASK" > "$MUSTER_TASK.txt"')
CHECK = "test -f file0.txt"
STAGES = ("created", "preparing", "running", "validating", "merging")


@dataclass(frozen=True)
class Walked:
    """One task's walk in milliseconds; `check_rounds` counts checks that ran one after another."""

    whole: float
    stages: Counter[str]
    cpu: float
    check_rounds: int


def measure(plan: Plan) -> list[Figure]:
    """Overhead of a task that ends at a person's desk, and of one that is checked and merged.

    The bar is for plain processes; what containment adds to the latter is told beside it.
    """
    agent, check = plain_ms(AGENT, plan), plain_ms(("/bin/sh", "-c", CHECK), plan)
    merging = {"test_command": CHECK, "autonomy": "full"}
    with running(own_agent("quick", AGENT)) as server:
        found = _figures("walk to waiting", _rounds(server, plan), agent, 0.0, BAR_MS)
        server.call("PATCH", "/api/projects/repo", {"settings": merging})
        found += _figures("walk to merged", _rounds(server, plan), agent, check)
        usual = server.call("GET", "/api/health")["runtime"]
        if usual and usual["name"] != PLACE:
            server.call("PATCH", "/api/projects/repo", {"settings": {"runtime": usual["name"]}})
            name = f"walk to merged in `{usual['name']}`"
            found += _figures(name, _rounds(server, plan), agent, check)
    return found


def plain_ms(argv: Sequence[str], plan: Plan) -> float:
    """What the same program takes without muster, in milliseconds."""
    with scratch() as folder:
        return median([_plain(argv, folder) for _ in range(plan.of(40, 3))])


def _plain(argv: Sequence[str], folder: Path) -> float:
    env = {**warm_environment(), "MUSTER_TASK": "plain"}
    began = time.monotonic()
    subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, env=env, capture_output=True)
    return (time.monotonic() - began) * 1000


def _rounds(server: Server, plan: Plan) -> list[list[Walked]]:
    _one(server)  # the first task also makes the mirror and the first base
    return [[_one(server) for _ in range(plan.of(TASKS, 2))] for _ in range(plan.rounds)]


def _figures(
    name: str, rounds: list[list[Walked]], agent: float, check: float, bar: float | None = None
) -> list[Figure]:
    def added(walk: Walked) -> float:
        return walk.whole - agent - check * walk.check_rounds

    every = [walk for one in rounds for walk in one]
    own = f"taken off: agent {agent:.1f} ms" + (
        f", {every[0].check_rounds} × check {check:.1f} ms" if check else ""
    )
    return [
        Figure(name, median([median(list(map(added, one))) for one in rounds]), "ms", bar,
               note=own),
        *(
            Figure(f"{name}: {stage}", median([walk.stages[stage] for walk in every]), "ms",
                   note="with the agent's own time" if stage == "running" else "")
            for stage in STAGES if every[0].stages[stage]
        ),
        Figure(f"{name}: CPU of the server and its git", median([w.cpu for w in every]), "ms"),
    ]  # fmt: skip


def _one(server: Server) -> Walked:
    """Let one task walk alone."""
    before = cpu_seconds(server.pid)
    began, task, heard = one_task(server, "quick")
    cpu = 1000 * (cpu_seconds(server.pid) - before)
    moves = [a for a in heard if a.event["type"].startswith("task.")]
    stages: Counter[str] = Counter()
    for now, then in pairwise(moves):
        stage = now.event["type"].removeprefix("task.")
        stages[stage] += 1000 * (_at(then.event) - _at(now.event))
    return Walked(1000 * (moves[-1].at - began), stages, cpu, _check_rounds(task))


def _check_rounds(detail: dict[str, Any]) -> int:
    """How many checks of a task ran one after another: two run side by side, old ones are known."""
    runs = {
        run["run_id"]
        for verdict in detail["verdicts"]
        for finding in verdict["findings"]
        for run in finding["evidence"].get("runs", ())
        if run["run_id"].startswith(detail["id"])
    }
    return -(-len(runs) // 2)


def _at(event: dict[str, Any]) -> float:
    """When an event became true, in epoch seconds."""
    return datetime.fromisoformat(event["time"]).timestamp()
