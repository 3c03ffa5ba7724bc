"""How agents do, put together: successes, times, costs, retries, and how long work waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from muster.domain.task import STATUS_OF
from muster.store import analytics, tasks
from muster.store.analytics import Did, Times, Took
from muster.store.base import Tx
from muster.store.figures import Scope

_ENDS = (analytics.SUCCEEDED, analytics.FAILED, analytics.CANCELLED, analytics.UNJUDGED)
_KINDS: dict[str, Callable[[Did], str]] = {
    "role": lambda each: each.role,
    "driver": lambda each: each.driver,
    "type": lambda each: each.type,
}


def how_agents_do(tx: Tx, scope: Scope) -> dict[str, Any]:
    """What is told of agents beside what each one by name has done."""
    did = analytics.did(tx, scope)
    stages = tasks.count_stages(tx, scope.project_id)
    return {
        "agents": _counts((each.status, each.runs) for each in did),
        "tasks": _counts((str(STATUS_OF[stage]), n) for stage, n in stages.items()),
        "success": _by(did, _success),
        "cost": {**_cost(did), **_by(did, _cost)},
        "agent_seconds": _took(analytics.runs_took(tx, scope), "by_role"),
        "task_seconds": _took(analytics.tasks_took(tx, scope), "by_type"),
        "retries": {
            again.role: {"tasks": again.tasks, "retried": again.retried, "retries": again.retries}
            for again in analytics.again(tx, scope)
        },
        "review_rounds": analytics.rounds(tx, scope)._asdict(),
        "queue": {
            "waiting": _times(analytics.waiting(tx, scope.project_id)),
            "waited": _times(analytics.waited(tx, scope)),
        },
    }


def _counts(each: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in each:
        found[name] = found.get(name, 0) + count
    return dict(sorted(found.items()))


def _by(did: list[Did], told: Callable[[list[Did]], dict[str, Any]]) -> dict[str, Any]:
    return {
        f"by_{kind}": {
            name: told([each for each in did if key(each) == name])
            for name in sorted({key(each) for each in did})
        }
        for kind, key in _KINDS.items()
    }


def _success(did: list[Did]) -> dict[str, Any]:
    """How many ended how; the rate leaves out what was cancelled or is still open."""
    count = {end: sum(each.runs for each in did if each.end == end) for end in _ENDS}
    judged = count[analytics.SUCCEEDED] + count[analytics.FAILED]
    rate = round(count[analytics.SUCCEEDED] / judged, 4) if judged else None
    return {**count, "rate": rate}


def _cost(did: list[Did]) -> dict[str, Any]:
    return {
        "runs": sum(each.runs for each in did),
        "cost_usd": round(sum(each.cost_usd for each in did), 6),
        "input_tokens": sum(each.input_tokens for each in did),
        "output_tokens": sum(each.output_tokens for each in did),
    }


def _took(found: Took, by: str) -> dict[str, Any]:
    parts = {part: _times(times) for part, times in sorted(found.parts.items())}
    return {**_times(found.whole), by: parts}


def _times(times: Times | None) -> dict[str, Any]:
    """In seconds; null where nothing was counted."""
    if times is None:
        return {"count": 0, "p50_seconds": None, "p90_seconds": None, "longest_seconds": None}
    return {
        "count": times.count,
        "p50_seconds": times.p50 / 1000,
        "p90_seconds": times.p90 / 1000,
        "longest_seconds": times.longest / 1000,
    }
