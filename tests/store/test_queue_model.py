"""The queue of the store is the one of a simple model, whatever is done to it and when it dies."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from contracts.store import add_project
from house.databases import put_database
from muster.domain.errors import Stale
from muster.domain.task import ACTIVE, HOLDS_A_SLOT, Stage, Task, TaskType
from muster.store import admission, claims, events, judgements, listing, moves, schema, tasks
from muster.store.admission import Limits
from muster.store.base import Tx
from muster.store.moves import Fence, Move
from muster.store.sqlite import SqliteStore
from muster.store.tasks import NewTask
from store.queue_model import OPEN, Model

LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
TASKS, RESTARTS, FLEET, OF_ONE = 200, 20, 8, 5
STEPS, AT_ONCE = 1200, 10
SHOWN = {"preparing": "held", "running": "held", "validating": "checked", "merging": "checked"}
WALK = (Stage.RUNNING, Stage.VALIDATING, Stage.MERGING, Stage.COMPLETED)


class Pair:
    """The real queue and the model; whatever is done is done to both."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.rng = path, random.Random(seed)
        self.store = SqliteStore(path)
        self.ids: dict[int, str] = {}
        self.most = 0

    async def begin(self) -> None:
        self.projects = {name: await add_project(self.store, name) for name in ("shop", "bank")}
        one = {self.projects["shop"]: OF_ONE}
        self.limits = Limits(FLEET, one, FLEET)
        self.model = Model(FLEET, {"shop": OF_ONE, "bank": FLEET})
        await self.store.write(judgements.change_queue, {"max_concurrent": FLEET})
        await self.store.write(self.add, TASKS // 2)

    def add(self, tx: Tx, count: int) -> None:
        """More tasks, each of which may need some of those before it."""
        for _ in range(count):
            number = len(self.model.tasks) + 1
            near = [n for n in range(max(1, number - 12), number) if self._can_be_needed(n)]
            some = self.rng.choice((0, 0, 0, 1, 2))
            needs = set(self.rng.sample(near, min(some, len(near))))
            project = self.rng.choice(("shop", "bank"))
            priority = self.rng.choice((1, 5, 5, 5, 7, 9))
            self.model.add(number, project, priority, needs)
            new = NewTask(self.projects[project], f"t{number}", "do it", TaskType.CHORE,
                          priority, Stage.QUEUED, tuple(self.ids[n] for n in needs))  # fmt: skip
            made = tasks.create_task(tx, new)
            assert made.number == number
            self.ids[number] = made.id

    def _can_be_needed(self, number: int) -> bool:
        return self.model.tasks[number].stage not in {"failed", "cancelled"}

    def real(self, tx: Tx, number: int) -> Task:
        return tasks.get_task(tx, self.ids[number])

    def some(self, *stages: str) -> int | None:
        found = self.model.in_stage(*stages)
        return self.rng.choice(found) if found else None

    # --- what can happen ---

    def admit(self, tx: Tx) -> None:
        assert [t.number for t in admission.admit(tx, self.limits)] == self.model.admit()
        self.most = max(self.most, len(self.model.in_stage("held")))

    def go_on(self, tx: Tx) -> None:
        """One that works gives up its slot, or ends well, badly, or by a person's wish."""
        number = self.some("held", "checked")
        if number is None:
            return
        task = self.real(tx, number)
        match self.rng.choices(("on", "completed", "failed", "cancelled"), (35, 55, 9, 1))[0]:
            case "on":
                self.model.tasks[number].stage = "checked"
                walk(tx, task, Stage.VALIDATING)
            case "completed":
                self.model.complete(number)
                walk(tx, task, Stage.COMPLETED)
            case way:
                may_stop = self.model.end(number, way)
                moves.move(tx, Move(Fence.of(task), Stage(way)))
                by = judgements.queue_settings(tx).stopped_by
                if may_stop:
                    self.model.stopped_by = next(n for n in may_stop if self.ids[n] == by)

    def put(self, tx: Tx) -> None:
        number = self.some("blocked", "queued", "queued")
        if number is not None:
            place = self.rng.choice((None, None, 1, 2, 3, self.rng.randint(1, 60)))
            self.model.put(number, place)
            listing.put(tx, self.real(tx, number), place)

    def take_off(self, tx: Tx) -> None:
        if self.model.places:
            number = self.rng.choice(self.model.places)
            self.model.places.remove(number)
            listing.take_off(tx, self.real(tx, number))

    def order(self, tx: Tx) -> None:
        """Like somebody who drags the whole list into another order."""
        wanted = [n for n in self.model.shown() if self.model.tasks[n].stage in OPEN]
        self.rng.shuffle(wanted)
        self.model.order(wanted)
        listing.set_order(tx, [f"MU-{n}" for n in wanted])

    def urge(self, tx: Tx) -> None:
        number = self.some(*OPEN)
        if number is not None:
            self.model.tasks[number].priority = priority = self.rng.randint(0, 9)
            tasks.set_priority(tx, self.real(tx, number), priority)

    def pause(self, tx: Tx) -> None:
        self.model.paused = True
        judgements.change_queue(tx, {"paused": True})

    def resume(self, tx: Tx) -> None:
        self.model.paused, self.model.stopped_by = False, None
        judgements.change_queue(tx, {"paused": False, "stopped_by": None})

    def heed(self, tx: Tx) -> None:
        """Whether a failure stops the list from now on."""
        self.model.stops_on_failure = stops = self.rng.random() < 0.5
        judgements.change_queue(tx, {"stop_on_failure": stops})

    def retry(self, tx: Tx) -> None:
        """Try again what stops the list, when something does, else any that ended badly."""
        number = self.model.stopped_by or self.some("failed", "cancelled")
        if number is not None and self.model.tasks[number].stage in {"failed", "cancelled"}:
            there = Stage(self.model.retry(number))
            moves.move(tx, Move(Fence.of(self.real(tx, number)), there))

    def several(self, tx: Tx) -> None:
        """Some steps in one transaction, as a busy store groups them."""
        for act in self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=AT_ONCE):
            getattr(self, act)(tx)
        self.compare_holds(tx)

    async def restart(self) -> None:
        """Another process takes the place of this one, which believes to hold what it held."""
        held = self.some("held", "checked")
        before = await self.store.read(self.real, held) if held is not None else None
        await self.store.close()
        self.store = SqliteStore(self.path)
        adopted = await self.store.write(claims.take_over)
        assert sorted(t.number for t in adopted) == self.model.in_stage("held", "checked")
        if before is not None:
            with pytest.raises(Stale):
                await self.store.write(moves.move, Move(Fence.of(before), Stage.FAILED))
        await self.compare()

    async def compare(self) -> None:
        """Nothing is lost, nothing stands elsewhere, and the list is in the same order."""
        rows = await self.store.read(
            lambda tx: tx.conn.execute(
                select(schema.tasks.c.number, schema.tasks.c.stage, schema.tasks.c.attempt)
            ).all()
        )
        found = {n: (SHOWN.get(stage, stage), attempt) for n, stage, attempt in rows}
        assert found == {n: (t.stage, t.attempts) for n, t in self.model.tasks.items()}
        assert sum(Stage(stage) in HOLDS_A_SLOT for _, stage, _ in rows) <= FLEET
        assert sum(Stage(stage) in ACTIVE for _, stage, _ in rows) == len(
            self.model.in_stage("held", "checked")
        )
        listed = [t.number for t in await self.store.read(listing.listed)]
        assert listed == self.model.shown()
        await self.store.read(self.compare_holds)

    def compare_holds(self, tx: Tx) -> None:
        settings, by = judgements.queue_settings(tx), self.model.stopped_by
        assert settings.stopped_by == (None if by is None else self.ids[by])
        assert settings.paused is self.model.paused

    def finish(self, tx: Tx) -> None:
        """A person resumes and tries again until all is done."""
        while self.model.in_stage(*OPEN, "failed", "cancelled"):
            self.resume(tx)
            while self.model.in_stage("failed", "cancelled"):
                self.retry(tx)
            self.admit(tx)
            for number in self.model.in_stage("held", "checked"):
                self.model.complete(number)
                walk(tx, self.real(tx, number), Stage.COMPLETED)

    async def starts(self) -> Counter[tuple[str, int]]:
        """How often each attempt of each task was started, as the events say."""
        found: Counter[tuple[str, int]] = Counter()
        after = 0
        while page := await self.store.read(
            events.events_after, after, kind="task.preparing", limit=1000
        ):
            found.update((e.task_id or "", e.payload["attempt"]) for e in page)
            after = page[-1].rev
        return found


WEIGHTS = {
    "admit": 30, "go_on": 40, "put": 25, "take_off": 2, "order": 1, "urge": 5, "pause": 1,
    "resume": 3, "heed": 1, "retry": 6,
}  # fmt: skip


def walk(tx: Tx, task: Task, to: Stage) -> None:
    """The moves that lead a claimed task there."""
    ahead = WALK[WALK.index(task.stage) + 1 :] if task.stage in WALK else WALK
    for stage in ahead[: ahead.index(to) + 1] if to in ahead else ():
        task = moves.move(tx, Move(Fence.of(task), stage))


@pytest.mark.parametrize("seed", range(1, 6) if LONG else (1,))
async def test_the_queue_is_the_one_of_the_model_at_every_step(tmp_path, seed):
    await put_database(tmp_path)
    pair = Pair(tmp_path / "muster.db", seed)
    await pair.begin()
    for life in range(RESTARTS):
        if life == RESTARTS // 4:
            await pair.store.write(pair.add, TASKS - TASKS // 2)
        for _ in range(STEPS // RESTARTS // AT_ONCE):
            await pair.store.write(pair.several)
        await pair.restart()
    assert pair.model.in_stage("completed", "failed"), "the walk has gone somewhere"
    await pair.store.write(pair.finish)
    await pair.compare()
    assert len(pair.model.in_stage("completed")) == TASKS
    assert pair.most == FLEET, "the fleet was full now and then"
    started = await pair.starts()
    assert set(started.values()) == {1}, "no attempt is started twice"
    assert sum(started.values()) == sum(t.attempts for t in pair.model.tasks.values())
    await pair.store.close()
