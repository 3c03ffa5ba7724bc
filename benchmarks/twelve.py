"""Twelve tasks of one second, four at once, beside the same programs under `xargs -P4`."""

from __future__ import annotations

import subprocess
import time

from benchmarks.figures import Figure, Plan, median
from benchmarks.meters import cpu_seconds, warm_environment
from benchmarks.server import Server, ended, own_agent, running

BAR_SECONDS = 4.0
AT_ONCE = 4


def measure(plan: Plan) -> list[Figure]:
    """Wall time for all, and how many were called done although nothing had proved them."""
    tasks, sleep = plan.of(12, 2), plan.of(1000, 50) / 1000
    work = f'sleep {sleep} && echo "$MUSTER_TASK" > "$MUSTER_TASK.txt"'
    config = own_agent("sleeper", ("/bin/sh", "-c", work))
    walls, cpu, plain, false_done, without = [], [], [], 0, 0
    with running(config) as server:
        server.call("POST", "/api/queue/settings", {"max_concurrent": AT_ONCE})
        for _ in range(plan.rounds):
            plain.append(_plain(tasks, sleep))
            before = cpu_seconds(server.pid)
            wall, done, missing = _one_round(server, tasks)
            cpu.append((cpu_seconds(server.pid) - before) / tasks)
            walls.append(wall)
            false_done += done
            without += missing
    what = f"{tasks} tasks of {sleep:g} s, {AT_ONCE} at once"
    return [
        Figure(f"{what}: wall", median(walls), "s", None if plan.tiny else BAR_SECONDS,
               note="all rounds: " + ", ".join(f"{wall:.2f}" for wall in walls)),
        Figure(f"{what}: false done", false_done, "", 0),
        Figure(f"{what}: without their change", without, "", 0),
        Figure(f"{what}: plain, xargs -P{AT_ONCE}", median(plain), "s"),
        Figure(f"{what}: server and git, CPU a task", median(cpu) * 1000, "ms"),
    ]  # fmt: skip


def _plain(tasks: int, sleep: float) -> float:
    began = time.monotonic()
    subprocess.run(
        ["xargs", f"-P{AT_ONCE}", "-n1", "sleep"], input=f"{sleep}\n".encode() * tasks,
        check=True, env=warm_environment(),
    )  # fmt: skip
    return time.monotonic() - began


def _one_round(server: Server, count: int) -> tuple[float, int, int]:
    """Seconds from the first post to the last end; how many are falsely done, or have no change."""
    subscriber = server.listen()
    try:
        began = time.time()
        made = [server.submit("sleeper", autonomy="confirm") for _ in range(count)]
        ended(subscriber, [task["id"] for task in made])
        wall = subscriber.arrivals[-1].at - began
    finally:
        subscriber.close()
    server.settle()
    tasks = [server.call("GET", f"/api/tasks/{task['id']}") for task in made]
    false_done = sum(task["status"] != "waiting" for task in tasks)
    missing = sum(not _has_its_change(server, task["id"], task["label"]) for task in tasks)
    return wall, false_done, missing


def _has_its_change(server: Server, task_id: str, label: str) -> bool:
    files = server.call("GET", f"/api/tasks/{task_id}/diff")["files"]
    return [file["path"] for file in files] == [f"{label}.txt"]
