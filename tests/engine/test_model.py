"""A state machine of task, claim and merge: whatever the order, the promises hold."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)
from sqlalchemy import create_engine

from house.measuring import example
from muster.domain.agent import Role
from muster.domain.errors import Conflict, Cycle, Invalid, Stale
from muster.domain.task import ACTIVE, HOLDS_A_SLOT, TERMINAL, Stage, TaskType
from muster.domain.verdict import BreakpointKind
from muster.store import admission, agents, claims, events, judgements, moves, projects, tasks
from muster.store.admission import Limits
from muster.store.agents import NewAgent
from muster.store.base import Tx
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move
from muster.store.projects import NewProject
from muster.store.schema import metadata
from muster.store.tasks import NewTask

pytestmark = pytest.mark.timeout(900)

FLEET = 3
ONWARD = {
    Stage.PREPARING: (Stage.RUNNING, Stage.QUEUED, Stage.FAILED, Stage.WAITING),
    Stage.RUNNING: (Stage.VALIDATING, Stage.CANCELLED, Stage.WAITING),
    Stage.VALIDATING: (Stage.MERGING, Stage.WAITING, Stage.QUEUED, Stage.FAILED),
    Stage.MERGING: (Stage.COMPLETED, Stage.WAITING, Stage.QUEUED),
}


def memory_database():
    """One database in memory for all runs: the verbs are the same, a step costs microseconds."""
    connection = create_engine("sqlite://").connect()
    with connection.begin():
        metadata.create_all(connection)
    return connection


DATABASE = memory_database()


def start_afresh() -> None:
    """Empty every table and put in what a first migration puts in."""
    with DATABASE.begin():
        for table in reversed(metadata.sorted_tables):
            DATABASE.exec_driver_sql(f"DELETE FROM {table.name}")
        DATABASE.exec_driver_sql("INSERT INTO counters VALUES ('rev', 0), ('task', 0)")
        DATABASE.exec_driver_sql(
            "INSERT INTO queue_settings (id, paused, stop_on_failure, max_concurrent, rev)"
            " VALUES (1, 0, 1, 3, 0)"
        )


class Walk(RuleBasedStateMachine):
    """The store under every kind of caller: engine, person, crashed and stale processes."""

    made = Bundle("made")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        example()
        start_afresh()
        self.connection = DATABASE
        self.clock = 0
        self.tokens: set[str] = set()
        self.landed: dict[str, int] = {}
        self.best: dict[str, int] = {}

    def do(self, verb, *args, **kwargs):
        self.clock += 1
        with self.connection.begin():
            tx = Tx(self.connection, self.clock)
            answer = verb(tx, *args, **kwargs)
            tx.flush()
            return answer

    see = do

    @initialize(target=made)
    def a_project_and_a_task(self):
        new = NewProject("shop", "/repo", None, "main", {}, {}, "", "")
        self.project = self.do(projects.add_project, new)[0].id
        return self.create([], 5)

    @rule(target=made, needs=st.lists(made, max_size=2), priority=st.integers(0, 9))
    def create_after(self, needs, priority):
        return self.create(needs, priority)

    def create(self, needs, priority):
        new = NewTask(self.project, "t", "t", TaskType.CHORE, priority, Stage.QUEUED,
                      needs=tuple(dict.fromkeys(needs)))  # fmt: skip
        try:
            return self.do(tasks.create_task, new).id
        except Invalid:
            dead = [self.see(tasks.get_task, n).stage for n in needs]
            assert {Stage.FAILED, Stage.CANCELLED} & set(dead)
            return multiple()

    @rule(task=made, needed=made)
    def wait_for(self, task, needed):
        try:
            self.do(tasks.add_needs, task, (needed,))
        except (Cycle, Conflict):
            return

    @rule(target=claims)
    def admit(self):
        claimed = self.do(admission.admit, Limits(FLEET, {}, FLEET))
        for task in claimed:
            assert task.token not in self.tokens, "a token was given out twice"
            self.tokens.add(task.token)
            assert task.attempt == self.best.get(task.id, 0) + 1
            self.best[task.id] = task.attempt
            new = NewAgent(f"coding-{task.id}-{task.attempt}", Role.CODING, "command", "process")
            self.do(agents.start_agent, task, new)
        return multiple(*claimed)

    @rule(claim=consumes(claims), data=st.data(), keep=st.booleans(), target=claims)
    def go_on(self, claim, data, keep):
        """A worker moves its task; when `keep`, its old belief is used again later."""
        there = data.draw(st.sampled_from(ONWARD[claim.stage]))
        ask = None
        if there is Stage.WAITING:
            ask = NewBreakpoint(BreakpointKind.MERGE, "?", ("merge",))
        current = self.see(tasks.get_task, claim.id)
        holds = (current.stage, current.attempt, current.token) == (
            claim.stage, claim.attempt, claim.token,
        )  # fmt: skip
        try:
            moved = self.do(moves.move, Move(Fence.of(claim), there, ask=ask))
        except Stale:
            assert not holds, "a claim that holds was refused"
            return multiple()
        assert holds, "a stale claim moved a task"
        if there is Stage.COMPLETED:
            self.landed[claim.id] = self.landed.get(claim.id, 0) + 1
        after = [moved] if moved.stage in ACTIVE else []
        return multiple(*after, *([claim] if keep else []))

    @rule(target=claims)
    def crash_and_restart(self):
        return multiple(*self.do(claims.take_over))

    @rule(task=made, answer=st.sampled_from([Stage.MERGING, Stage.QUEUED, Stage.CANCELLED]),
          target=claims)  # fmt: skip
    def a_person_answers(self, task, answer):
        now = self.see(tasks.get_task, task)
        if now.stage is not Stage.WAITING:
            return multiple()
        (asked,) = self.see(judgements.list_breakpoints, task_id=task)
        step = Move(Fence.of(now), answer, answer=str(answer), by="ada")
        _, moved = self.do(moves.resolve, asked.id, step)
        try:
            self.do(moves.resolve, asked.id, step)
        except Conflict:
            return multiple(moved) if moved.stage in ACTIVE else multiple()
        raise AssertionError("a question was answered twice")

    @rule(task=made)
    def a_person_cancels(self, task):
        now = self.see(tasks.get_task, task)
        if now.stage in {Stage.QUEUED, Stage.BLOCKED, Stage.WAITING}:
            self.do(moves.move, Move(Fence.of(now), Stage.CANCELLED))
        elif now.stage in ACTIVE:
            self.do(tasks.wish, task, "cancel")

    @rule(task=made)
    def a_person_retries(self, task):
        now = self.see(tasks.get_task, task)
        if now.stage in {Stage.FAILED, Stage.CANCELLED}:
            ready = not self.see(tasks.unfinished_needs, now.needs)
            self.do(moves.move, Move(Fence.of(now), Stage.QUEUED if ready else Stage.BLOCKED))

    @invariant()
    def promises_hold(self):
        rows = self.connection.exec_driver_sql
        with self.connection.begin():
            found = rows("SELECT id, stage, token, finished_at FROM tasks").all()
            needs = rows("SELECT task_id, needs_id FROM task_needs").all()
            asked = rows("SELECT task_id FROM breakpoints WHERE resolved_at IS NULL").all()
            alive = rows("SELECT task_id FROM agents WHERE status IN ('starting', 'running')").all()
        stages = {row.id: Stage(row.stage) for row in found}
        waiting = sorted(t for t, stage in stages.items() if stage is Stage.WAITING)
        assert sorted(row.task_id for row in asked) == waiting
        assert sum(stage in HOLDS_A_SLOT for stage in stages.values()) <= FLEET
        unmet = {n.task_id for n in needs if stages[n.needs_id] is not Stage.COMPLETED}
        for row in found:
            stage = stages[row.id]
            assert bool(row.token) == (stage in ACTIVE)
            assert (row.finished_at is not None) == (stage in TERMINAL)
            assert self.landed.get(row.id, 0) <= 1, "a task completed twice"
            if stage in ACTIVE | {Stage.QUEUED}:
                assert row.id not in unmet, "a task started before what it needs"
            if stage is Stage.BLOCKED:
                assert row.id in unmet, "a task is held although all it needs is done"
        dead = {t for t, stage in stages.items() if stage in TERMINAL}
        assert dead.isdisjoint(row.task_id for row in alive), "an ended task has a living agent"

    def teardown(self) -> None:
        revs = [e.rev for e in self.see(events.events_after, 0, limit=100_000)]
        assert revs == list(range(1, len(revs) + 1))


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=2000 if os.environ.get("MUSTER_LONG") else 100,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
