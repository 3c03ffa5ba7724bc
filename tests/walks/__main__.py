"""`make bench-crew`: walk every playbook, killed after each event; what came of it, and times."""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from walks.cases import WALKS, Walk
from walks.field import Came, boundaries, go

_STAGES = ("queued", "preparing", "running", "validating", "handed_on", "merging")
_TOLD = {
    "queued": "waiting for a slot",
    "preparing": "workspace, prompt",
    "running": "the agent",
    "validating": "evidence, verdict",
    "handed_on": "routing",
    "merging": "offer, merge",
}


def main() -> int:
    """Walk; 0 only if every walk ended as it should."""
    parser = argparse.ArgumentParser(prog="make bench-crew", description=__doc__)
    parser.add_argument("--only", action="append", choices=[walk.name for walk in WALKS])
    parser.add_argument("--calm", action="store_true", help="without kills")
    parser.add_argument("--at-once", type=int, default=2, help="servers side by side")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    faults = 0
    for walk in WALKS:
        if given.only and walk.name not in given.only:
            continue
        faults += _try(walk, at_once=given.at_once, kills=not given.calm)
    print("every walk ended as it should" if not faults else f"{faults} walks did not end right")
    return 1 if faults else 0


def _try(walk: Walk, *, at_once: int, kills: bool) -> int:
    calm = _one(walk)
    points = boundaries(calm)
    print(f"\n{walk.name}: {' → '.join(calm.story or calm.roles)}")
    for line in _times(calm):
        print(f"  {line}")
    found = [("without a kill", calm)]
    if kills:
        with ThreadPoolExecutor(at_once) as pool:
            came = pool.map(lambda point: _one(walk, f"event.{point[0]}={point[1]}"), points)
            found += [
                (f"killed after {kind} {n}", one)
                for (kind, n), one in zip(points, came, strict=True)
            ]
    bad = 0
    for how, one in found:
        wrong = one.faults(walk)
        if kills and how != "without a kill" and not one.kills:
            wrong.append("the server was not killed")
        bad += bool(wrong)
        for words in wrong:
            print(f"  FAILED {how}: {words} ({one.reason})")
    print(f"  {len(found) - bad} of {len(found)} walks ended as they should, each agent run once")
    return bad


def _one(walk: Walk, dying: str = "") -> Came:
    with tempfile.TemporaryDirectory(prefix="walk-") as folder:
        return go(Path(folder), walk, dying)


def _times(came: Came) -> list[str]:
    """How long its tasks stayed in each stage, and what of all that was orchestration."""
    stays: dict[str, list[float]] = defaultdict(list)
    by_task: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in came.events:
        if event["task_id"] and event["type"].removeprefix("task.") in {*_STAGES, "completed"}:
            by_task[event["task_id"]].append(event)
    for moves in by_task.values():
        for one, then in pairwise(moves):
            stays[one["type"].removeprefix("task.")].append(_at(then) - _at(one))
    agents = _agents(came)
    whole = sum(map(sum, stays.values()))
    lines = [
        f"{_TOLD[stage]:<20} {len(stays[stage]):>3} times, median {_ms(stays[stage])},"
        f" together {sum(stays[stage]):.2f} s"
        for stage in _STAGES
        if stays.get(stage)
    ]
    share = f"{whole:.2f} s in all, {agents:.2f} s of it agents' programs"
    return [*lines, share]


def _agents(came: Came) -> float:
    begun = {e["subject"]: _at(e) for e in came.events if e["type"] == "agent.started"}
    return sum(
        _at(e) - begun[e["subject"]]
        for e in came.events
        if e["type"] == "agent.ended" and e["subject"] in begun
    )


def _at(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def _ms(values: list[float]) -> str:
    return f"{statistics.median(values) * 1000:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
