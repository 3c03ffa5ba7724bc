"""What every store must count alike of agents: ends, times, retries, rounds, waits."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import insert

from muster.store import analytics, schema
from muster.store.analytics import Again, Did, Rounds, Times, Took
from muster.store.base import Store, Tx
from muster.store.figures import Scope

T0 = 1_800_000_000_000
PROJECT = {
    "git_dir": "/x", "branch": "main", "overrides": {}, "file_settings": {}, "trusted_file": "",
    "trusted_config": "", "removed": 0, "rev": 1, "created_at": 1,
}  # fmt: skip
TASK = {
    "project_id": "p", "title": "t", "description": "d", "type": "bug", "priority": 5,
    "stage": "completed", "rev": 1, "created_at": T0, "updated_at": T0, "attempt": 1, "tries": 0,
    "token": "", "reason": "", "paths": [], "started_at": T0, "finished_at": T0 + 4000,
}  # fmt: skip
RUN = {
    "project_id": "p", "attempt": 1, "role": "coding", "driver": "mine", "runtime": "process",
    "status": "completed", "outcome": "completed", "rev": 1, "created_at": T0, "started_at": T0,
    "ended_at": T0 + 1000, "reason": "", "input_tokens": 10, "output_tokens": 1, "cost_usd": 0.5,
    "cpu_seconds": 0.0, "max_rss_bytes": 0, "last_line": "",
}  # fmt: skip


async def put(store: Store, **tables: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as they are; two projects are there."""

    def write(tx: Tx) -> None:
        for name in ("p", "q"):
            tx.conn.execute(insert(schema.projects).values(id=name, name=f"the {name}", **PROJECT))
        for name, rows in tables.items():
            for row in rows:
                tx.conn.execute(insert(schema.metadata.tables[name]).values(**row))

    await store.write(write)


def task(n: int, **more: Any) -> dict[str, Any]:
    return {**TASK, "id": f"tsk_{n}", "number": n, "rounds": 0, **more}


def run(n: int, of: int = 1, **more: Any) -> dict[str, Any]:
    return {**RUN, "id": f"agent-{n}", "task_id": f"tsk_{of}", "attempt": n, **more}


def judged(rev: int, of: str | None, passed: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """A verdict with its event."""
    verdict = {
        "id": f"vdt_{rev}", "task_id": "tsk_1", "attempt": 1, "agent_id": of, "findings": [],
        "decision": {}, "created_at": T0, "rev": rev,
    }  # fmt: skip
    return verdict, event(rev, "verdict.reached", {"passed": passed})


def event(rev: int, type: str, payload: Any = None, task: int = 1, at: float = 0) -> dict[str, Any]:
    return {
        "rev": rev, "time": T0 + int(at * 1000), "type": type, "subject": "x", "project_id": "p",
        "payload": payload or {}, "task_id": f"tsk_{task}",
    }  # fmt: skip


def by_hand(values: list[int]) -> Times:
    """Sorted and counted off, as one learns it at school."""
    ordered = sorted(values)
    half, most = (ordered[math.ceil(len(ordered) * p / 100) - 1] for p in (50, 90))
    return Times(len(ordered), half, most, ordered[-1])


class AnalyticsContract:
    """Run by every store; a subclass gives `store`."""

    @pytest.fixture
    async def store(self) -> Store:
        raise NotImplementedError

    async def test_who_codes_succeeds_by_the_last_verdict_and_others_by_their_outcome(self, store):
        verdicts, told = zip(
            judged(1, "agent-1", False), judged(2, "agent-1", True), judged(3, "agent-2", False),
            judged(4, None, True), judged(5, "agent-6", True), strict=True,
        )  # fmt: skip
        await put(
            store, tasks=[task(1), task(2, type="chore")], verdicts=verdicts, events=told,
            agents=[
                run(1), run(2), run(3), run(4, outcome="crashed", status="failed"),
                run(5, status="running", outcome=None, ended_at=None),
                run(6, role="reviewer", driver="other", outcome="failed", status="failed"),
                run(7, of=2, role="reviewer", driver="other"),
                run(8, outcome="cancelled", status="killed"),
            ],
        )  # fmt: skip
        own, other = ("coding", "mine", "bug"), ("reviewer", "other")
        assert await store.read(analytics.did, Scope()) == [
            Did(*own, "completed", "failed", 1, 0.5, 10, 1),
            Did(*own, "completed", "open", 1, 0.5, 10, 1),
            Did(*own, "completed", "succeeded", 1, 0.5, 10, 1),
            Did(*own, "failed", "failed", 1, 0.5, 10, 1),
            Did(*own, "killed", "cancelled", 1, 0.5, 10, 1),
            Did(*own, "running", "open", 1, 0.5, 10, 1),
            Did(*other, "bug", "failed", "failed", 1, 0.5, 10, 1),
            Did(*other, "chore", "completed", "succeeded", 1, 0.5, 10, 1),
        ]

    async def test_only_what_lies_in_the_scope_is_counted(self, store):
        await put(
            store,
            tasks=[task(1), task(2, project_id="q", finished_at=T0 + 9000)],
            agents=[run(1), run(2, of=2, project_id="q", created_at=T0 + 50, role="reviewer")],
        )
        wanted = {
            Scope(): 2, Scope(T0): 2, Scope(T0 + 1): 1, Scope(T0, "p"): 1, Scope(T0, None, T0): 0,
            Scope(T0, None, T0 + 50): 1, Scope(T0, "q", T0 + 51): 1,
        }  # fmt: skip
        for scope, runs in wanted.items():
            assert sum(d.runs for d in await store.read(analytics.did, scope)) == runs, scope
            took = await store.read(analytics.runs_took, scope)
            assert sum(times.count for times in took.parts.values()) == runs
            assert (took.whole.count if took.whole else 0) == runs
            assert sum(again.tasks for again in await store.read(analytics.again, scope)) == runs
        alone = Times(1, 9000, 9000, 9000)
        late = await store.read(analytics.tasks_took, Scope(T0 + 5000))
        assert late == Took(alone, {"bug": alone})
        assert await store.read(analytics.tasks_took, Scope(0, "nowhere")) == Took(None, {})

    @pytest.mark.parametrize("many", [1, 2, 9, 10, 11, 400])
    async def test_percentiles_are_those_that_one_counts_off_by_hand(self, store, many):
        rng = random.Random(many)
        runs = [
            run(n, role=rng.choice(("coding", "reviewer")), ended_at=T0 + rng.randint(0, 50) ** 3)
            for n in range(1, many + 1)
        ]
        done = [
            task(n, type=rng.choice(("bug", "chore")), finished_at=T0 + rng.randint(0, 10**6))
            for n in range(1, many + 1)
        ]
        aside = [task(many + 1, stage="failed"), task(many + 2, playbook="plan")]
        await put(store, tasks=[*done, *aside], agents=runs)
        for found, rows, part, end in (
            (await store.read(analytics.runs_took, Scope()), runs, "role", "ended_at"),
            (await store.read(analytics.tasks_took, Scope()), done, "type", "finished_at"),
        ):
            names = {row[part] for row in rows}
            values = {name: [r[end] - T0 for r in rows if r[part] == name] for name in names}
            assert found.parts == {name: by_hand(own) for name, own in values.items()}
            assert found.whole == by_hand([value for own in values.values() for value in own])

    async def test_a_retry_is_a_further_agent_of_the_same_role(self, store):
        await put(
            store, tasks=[task(1), task(2), task(3, rounds=2), task(4, rounds=1)],
            agents=[
                run(1), run(2), run(3), run(1, of=2, id="b"), run(1, of=3, id="c"),
                run(2, of=3, role="reviewer", id="d"), run(3, of=3, role="reviewer", id="e"),
                run(4, of=4, role="reviewer", id="f"), run(5, of=2, role="reviewer", id="g"),
            ],
        )  # fmt: skip
        assert await store.read(analytics.again, Scope()) == [
            Again("coding", 3, 1, 2), Again("reviewer", 3, 1, 1),
        ]  # fmt: skip
        assert await store.read(analytics.rounds, Scope()) == Rounds(3, 3, 2)
        assert await store.read(analytics.rounds, Scope(T0 + 1)) == Rounds(0, 0, 0)

    async def test_work_waits_from_when_it_was_queued_until_it_left_the_queue(self, store):
        assert await store.read(analytics.waiting, None) is None
        assert await store.read(analytics.waited, Scope()) is None
        first = {"stage": "queued"}
        told = [
            event(1, "task.created", first), event(2, "task.preparing", at=5),
            event(3, "task.queued", at=20), event(4, "task.changed", at=30),
            event(5, "task.created", {"stage": "blocked"}, task=2),
            event(6, "task.queued", None, 2, 7), event(7, "task.preparing", None, 2, 16),
            event(8, "task.created", first, 3, 1),
            event(9, "task.running", None, 2, 90),
        ]  # fmt: skip
        await put(
            store, events=told,
            tasks=[task(1, stage="queued"), task(2, stage="running"), task(3, stage="queued")],
        )  # fmt: skip
        assert await store.read(analytics.waited, Scope()) == Times(2, 5000, 9000, 9000)
        assert await store.read(analytics.waited, Scope(T0 + 6000)) == Times(1, 9000, 9000, 9000)

        def seen(tx: Tx) -> Times | None:
            return analytics.waiting(Tx(tx.conn, T0 + 60_000), "p")

        assert await store.read(seen) == Times(2, 40_000, 59_000, 59_000)
        assert await store.read(analytics.waiting, "q") is None
