"""What a server costs by being there: its start, its memory, its idleness with a full record."""

from __future__ import annotations

import asyncio
import time

from benchmarks.figures import Figure, Plan, median
from benchmarks.meters import children, cpu_seconds, rss_mb
from benchmarks.record import fill
from benchmarks.server import Server, scratch

START_SECONDS, RSS_MB, IDLE_PERCENT = 1.1, 115.0, 1.0
COUNTS = (0, 100, 1000)
IDLE_SECONDS = 20


def measure(plan: Plan) -> list[Figure]:
    """Start, memory and idleness with no, some and many agents on record."""
    found: list[Figure] = []
    for count in COUNTS if not plan.tiny else (0, 10):
        with scratch() as folder:
            server = Server(folder)
            try:
                found += _with_agents(server, plan, count)
            finally:
                server.stop()
    return found


def _with_agents(server: Server, plan: Plan, count: int) -> list[Figure]:
    """The figures of one home; its first start, which makes the database, does not count."""
    server.start()
    server.make_repo()
    server.stop()
    if count:
        asyncio.run(fill(server.home, count))
    cpu, wall, rss = [], [], []
    for _ in range(plan.rounds):
        server.stop()
        wall.append(server.start())
        cpu.append(server.started_with_cpu)
        rss.append(rss_mb(server.pid))
    on_record = f"{count} agents on record"
    idle = _idle_percent(server.pid, plan)
    helpers = len(children(server.pid))
    return [
        Figure(f"start to health, {on_record}: CPU", median(cpu), "s", START_SECONDS),
        Figure(f"start to health, {on_record}: wall", median(wall), "s"),
        Figure(f"memory after start, {on_record}", median(rss), "MB", RSS_MB,
               note=f"RSS of the server; {helpers} other processes"),
        Figure(f"idle, {on_record}", idle, "% of a core", IDLE_PERCENT,
               note=f"over {plan.of(IDLE_SECONDS, 1)} s, nobody connected"),
        Figure(f"memory after use, {on_record}", _after_use(server), "MB", RSS_MB,
               note="after the board, the lists and the events were asked for"),
    ]  # fmt: skip


def _idle_percent(pid: int, plan: Plan) -> float:
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(plan.of(IDLE_SECONDS, 1))
    return (cpu_seconds(pid) - before) / (time.monotonic() - began) * 100


def _after_use(server: Server) -> float:
    """Memory once what a person looks at has been read; there is nothing running."""
    for path in ("/api/tasks?limit=200", "/api/agents?limit=200", "/api/events?limit=200",
                 "/api/queue", "/api/breakpoints", "/api/openapi.json"):  # fmt: skip
        server.call("GET", path)
    return rss_mb(server.pid)
