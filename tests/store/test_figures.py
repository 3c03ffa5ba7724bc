"""Figures of the store: what one would count by hand, read from indexes that have it all."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import insert, text

from muster.domain.figures import Spread, spread_of
from muster.store import figures, schema
from muster.store.figures import DAY, Asked, Ended, Scope, Sure, Waits
from muster.store.sqlite import SqliteStore

T0 = 20_000 * DAY
PROJECT = {
    "git_dir": "/x", "branch": "main", "overrides": {}, "file_settings": {}, "trusted_file": "",
    "trusted_config": "", "removed": 0, "rev": 1, "created_at": 1,
}  # fmt: skip


def task_row(n: int, stage: str, **more) -> dict:
    return {
        "id": f"tsk_{n}", "number": n, "project_id": "p", "title": "t", "description": "d",
        "type": "bug", "priority": 5, "stage": stage, "rev": 1, "created_at": T0,
        "updated_at": T0, "attempt": 1, "tries": 0, "token": "", "reason": "", "paths": [],
        "agent": "mine", "started_at": T0, "finished_at": T0 + 4000, **more,
    }  # fmt: skip


def event_rows(task: str, *moves: tuple[str, float], first: str = "queued") -> list[dict]:
    return [
        {
            "time": T0 + int(at * 1000), "type": f"task.{kind}", "subject": task, "task_id": task,
            "project_id": "p", "payload": {"stage": first} if kind == "created" else {},
        }
        for kind, at in moves
    ]  # fmt: skip


@pytest.fixture
async def store(tmp_path):
    made = SqliteStore(tmp_path / "muster.db")
    yield made
    await made.close()


async def put(store: SqliteStore, table, rows: list[dict]) -> None:
    if table is schema.events:
        rows = [{**row, "rev": n} for n, row in enumerate(rows, 1)]

    def write(tx) -> None:
        if table is schema.tasks:
            for name in ("p", "q"):
                row = {"id": name, "name": f"the {name}", **PROJECT}
                tx.conn.execute(insert(schema.projects).values(**row))
        for row in rows:
            tx.conn.execute(insert(table).values(**row))

    await store.write(write)


def test_percentiles_are_values_that_occur():
    assert spread_of([]) == Spread(0, 0.0, None, None)
    assert spread_of([3.0]) == Spread(1, 3.0, 3.0, 3.0)
    assert spread_of(range(1, 101)) == Spread(100, 5050.0, 50, 95)


async def test_tasks_are_counted_by_project_type_agent_and_end(store):
    await put(store, schema.tasks, [
        task_row(1, "completed", attempt=2), task_row(2, "completed"), task_row(3, "failed"),
        task_row(4, "running"), task_row(5, "completed", project_id="q", type="chore", agent=None),
        task_row(6, "completed", finished_at=T0 - 1),
        task_row(7, "completed", agent=None, playbook="plan", attempt=2),
        task_row(8, "completed", playbook="acceptance", type="test", project_id="q"),
        task_row(9, "failed", playbook="solo", project_id="q"),
    ])  # fmt: skip
    found = await store.read(figures.ended, Scope(T0))
    assert found == [
        Ended("the p", "bug", "mine", "completed", 2, 3, 8.0),
        Ended("the p", "bug", "mine", "failed", 1, 1, 4.0),
        Ended("the p", "bug", "none", "completed", 1, 2, 4.0, "plan"),
        Ended("the q", "bug", "mine", "failed", 1, 1, 4.0),
        Ended("the q", "chore", "none", "completed", 1, 1, 4.0),
        Ended("the q", "test", "mine", "completed", 1, 1, 4.0, "acceptance"),
    ]
    assert await store.read(figures.attempts, Scope(T0, "p")) == {1: 2, 2: 1}


async def test_a_stay_is_from_one_move_to_the_next_and_counts_once_it_has_ended(store):
    walk = [("created", 0), ("preparing", 5), ("running", 6), ("validating", 16), ("queued", 18)]
    rows = event_rows("a", *walk, ("preparing", 21), ("running", 22), ("failed", 52))
    rows += event_rows("a", ("queued", 99), ("preparing", 103))
    rows += event_rows("b", ("created", 0), ("queued", 7), first="proposed")
    rows += event_rows("c", ("created", 1), ("blocked", 2), ("running", 2.5))
    rows += [{**rows[0], "type": "agent.fact"}]
    await put(store, schema.events, rows)
    found = await store.read(figures.stays, Scope())
    assert found == {
        "queued": spread_of([5.0, 3.0, 1.0, 4.0]),
        "preparing": spread_of([1.0, 1.0]),
        "running": spread_of([10.0, 30.0]),
        "validating": spread_of([2.0]),
        "proposed": spread_of([7.0]),
        "blocked": spread_of([0.5]),
    }
    assert set(await store.read(figures.stays, Scope(T0 + 21_500))) == {"running", "queued"}
    assert await store.read(figures.stays, Scope(0, "other")) == {}


async def test_confidence_is_told_by_day_and_what_abstained_is_no_zero(store):
    await put(store, schema.tasks, [task_row(1, "completed", merged_commit="c")])
    same = {"task_id": "tsk_1", "attempt": 1, "findings": [], "decision": {}, "rev": 1}
    await put(store, schema.verdicts, [
        {**same, "id": "v1", "confidence": 0.5, "created_at": T0 + 5},
        {**same, "id": "v2", "confidence": 1.0, "created_at": T0 + DAY - 1},
        {**same, "id": "v3", "confidence": None, "created_at": T0 + DAY},
    ])  # fmt: skip
    assert await store.read(figures.confidence, Scope()) == [
        Sure(T0, 2, 2, 0.75),
        Sure(T0 + DAY, 1, 0, None),
    ]
    assert await store.read(figures.confidence, Scope(0, "q")) == []


async def test_what_became_of_work_and_what_was_asked_is_counted_in_its_scope(store):
    await put(store, schema.tasks, [
        task_row(1, "completed", merged_commit="c", attempt=2), task_row(2, "cancelled"),
        task_row(3, "waiting"), task_row(4, "failed"),
    ])  # fmt: skip
    same = {"findings": [], "decision": {}, "rev": 1, "created_at": T0}
    verdicts = [("tsk_1", 1, 0.2), ("tsk_1", 2, 0.9), ("tsk_2", 1, None), ("tsk_3", 1, 0.8),
                ("tsk_4", 1, 0.7)]  # fmt: skip
    await put(store, schema.verdicts, [
        {**same, "id": f"v{n}", "task_id": task, "attempt": attempt, "confidence": sure,
         "created_at": T0 + n}
        for n, (task, attempt, sure) in enumerate(verdicts)
    ])  # fmt: skip
    asked = {
        "project_id": "p", "kind": "merge", "question": "?", "options": [], "evidence": {},
        "rev": 1, "note": "", "created_at": T0,
    }  # fmt: skip
    await put(store, schema.breakpoints, [
        {**asked, "id": "b1", "task_id": "tsk_1", "answer": "retry", "by": "you",
         "resolved_at": T0},
        {**asked, "id": "b2", "task_id": "tsk_1", "created_at": T0 + 1, "answer": "merge",
         "by": "you", "resolved_at": T0 + 9000},
        {**asked, "id": "b3", "task_id": "tsk_2", "created_at": T0 + 2, "answer": "cancel",
         "by": "you", "resolved_at": T0 + 9000},
        {**asked, "id": "b4", "task_id": "tsk_3", "created_at": T0 + 3},
        {**asked, "id": "b5", "task_id": "tsk_4", "created_at": T0 + 4, "answer": "failed",
         "resolved_at": T0 + 9000},
    ])  # fmt: skip
    outcome = {
        "project_id": "p", "attempt": 1, "shown": "stayed", "why": "", "rev": 1, "created_at": T0,
    }  # fmt: skip
    await put(store, schema.outcomes, [
        {**outcome, "verdict_id": "v0", "task_id": "tsk_1", "right": 0, "confidence": 0.2},
        {**outcome, "verdict_id": "v1", "task_id": "tsk_1", "right": 1, "confidence": 0.9},
        {**outcome, "verdict_id": "v2", "task_id": "tsk_2", "right": 0, "confidence": None},
    ])  # fmt: skip
    assert await store.read(figures.outcomes, Scope()) == [
        (0.2, False), (0.9, True), (None, False),
    ]  # fmt: skip
    assert await store.read(figures.outcomes, Scope(T0 + 1)) == []
    assert await store.read(figures.outcomes, Scope(0, "q")) == []
    assert (await store.read(figures.asked, Scope()))[3] == Asked("merge", T0 + 3, None, None, None)
    assert await store.read(figures.open_questions) == {"merge": 1}


async def test_what_waits_is_counted_and_aged_from_when_it_came_to_wait(store):
    assert await store.read(figures.queued) == Waits(0, None)
    assert await store.read(figures.routes_pending) == Waits(0, None)
    await put(store, schema.tasks, [
        task_row(1, "queued", created_at=T0 - DAY), task_row(2, "queued", created_at=T0),
        task_row(3, "running", created_at=T0 - DAY),
    ])  # fmt: skip
    again = event_rows("tsk_1", ("created", -DAY / 1000), ("running", 1), ("queued", 9))
    await put(store, schema.events, [*again, *event_rows("tsk_3", ("running", 1))])
    await put(store, schema.routes, [
        {"rev": n, "type": "pr.created", "task_id": "tsk_1", "state": state, "led_to": "", "at": n}
        for n, state in ((1, "done"), (2, "pending"), (3, "pending"))
    ])  # fmt: skip
    assert await store.read(figures.queued) == Waits(2, T0)
    await store.write(lambda tx: tx.conn.execute(text("DELETE FROM tasks WHERE id = 'tsk_2'")))
    assert await store.read(figures.queued) == Waits(1, T0 + 9000)
    assert await store.read(figures.routes_pending) == Waits(2, 2)


async def test_moves_verdicts_and_questions_are_read_from_indexes_alone(store):
    """Only the beginning of an accepted task looks at its own event, by its number."""
    said: list[str] = []

    def plans(tx, verb) -> None:
        real = tx.conn.execute

        class Spy:
            def execute(self, query, *args):
                sql = str(query.compile(tx.conn, compile_kwargs={"literal_binds": True}))
                said.extend(r[3] for r in real(text(f"EXPLAIN QUERY PLAN {sql}")))
                return real(query, *args)

        verb(type(tx)(Spy(), tx.now), Scope(T0, None))

    for verb in (figures.stays, figures.confidence, figures.asked):
        await store.read(plans, verb)
    scans = [line for line in said if re.search("events|verdicts|breakpoints", line)]
    assert scans
    by_number = [line for line in scans if "(rev=?)" in line]
    assert len(by_number) == 1
    assert all("USING COVERING INDEX" in line for line in scans if line not in by_number), scans
