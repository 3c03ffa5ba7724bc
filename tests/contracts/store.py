"""What every store must keep: durable moves, fences, gap-free events, keys, limits."""

from __future__ import annotations

import asyncio

import pytest

from muster.domain.aftermath import Shown, Sign
from muster.domain.agent import Outcome, Role, Usage
from muster.domain.confidence import Calibration, Confidence, Reason
from muster.domain.errors import Conflict, Cycle, Invalid, KeyReused, NotFound, Stale
from muster.domain.event import NewEvent
from muster.domain.ids import new_id
from muster.domain.project import ProjectSettings
from muster.domain.task import ACCEPTANCE, MANAGER, Autonomy, Stage, Status, Task, TaskType
from muster.domain.verdict import (
    OPTIONS,
    BreakpointKind,
    Decision,
    Finding,
    Severity,
    Step,
    Verdict,
)
from muster.store import (
    admission,
    agents,
    checkpoints,
    claims,
    events,
    judgements,
    keys,
    listing,
    moves,
    outcomes,
    projects,
    tasks,
)
from muster.store.admission import Limits
from muster.store.agents import EndedAgent, NewAgent
from muster.store.base import Store, Tx
from muster.store.checkpoints import NewCheckpoint
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move
from muster.store.projects import NewProject
from muster.store.tasks import NewTask

PLENTY = Limits(100, {}, 100)


async def add_project(store: Store, name: str = "shop") -> str:
    project, _ = await store.write(
        projects.add_project, NewProject(name, f"/repo/{name}", None, "main", {}, {}, "", "")
    )
    return project.id


async def add_task(store: Store, project: str, title: str = "do it", **more) -> Task:
    new = NewTask(project, title, title, TaskType.FEATURE, more.pop("priority", 5),
                  more.pop("stage", Stage.QUEUED), **more)  # fmt: skip
    return await store.write(tasks.create_task, new)


async def step(store: Store, task: Task, to: Stage, reason: str = "", **more) -> Task:
    return await store.write(moves.move, Move(Fence.of(task), to, reason, **more))


async def admit_one(store: Store) -> Task:
    (task,) = await store.write(admission.admit, Limits(1, {}, 1))
    return task


async def hire_manager(store: Store, project: str, **more) -> Task:
    """A manager's task that is claimed."""
    boss = await add_task(store, project, playbook=MANAGER, **more)
    return next(t for t in await store.write(admission.admit, PLENTY) if t.id == boss.id)


async def spend(store: Store, task: Task, usd: float) -> None:
    """Have the agent of a claimed task cost so much."""
    agent = NewAgent(f"agent-{task.number}-{task.attempt}", Role.CODING, "command", "process")
    await store.write(agents.start_agent, task, agent)
    await store.write(agents.report, task, agent.id, {"cost_usd": usd})


async def finish(store: Store, task: Task, to: Stage = Stage.COMPLETED) -> Task:
    """Walk a claimed task to its end."""
    if to is not Stage.COMPLETED:
        return await step(store, task, to)
    for stage in (Stage.RUNNING, Stage.VALIDATING, Stage.MERGING, Stage.COMPLETED):
        task = await step(store, task, stage)
    return task


class StoreContract:
    """Run by every store; a subclass gives `store`."""

    @pytest.fixture
    async def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    async def project(self, store: Store) -> str:
        return await add_project(store)

    async def test_a_created_task_is_read_back_whole(self, store, project):
        made = await add_task(store, project, "größer\n'; DROP TABLE tasks; --", paths=("src/*",))
        assert await store.read(tasks.get_task, made.id) == made
        assert await store.read(tasks.get_task, made.label) == made
        assert (made.stage, made.status, made.number) == (Stage.QUEUED, Status.QUEUED, 1)

    async def test_numbers_are_gap_free_even_when_a_create_fails(self, store, project):
        await add_task(store, project)
        with pytest.raises(NotFound):
            await add_task(store, project, needs=("tsk_nowhere",))
        assert (await add_task(store, project)).number == 2

    async def test_events_are_unique_ordered_and_gap_free_under_many_writers(self, store, project):
        await asyncio.gather(*(add_task(store, project, f"t{n}") for n in range(40)))
        found = await store.read(events.events_after, 0, limit=1000)
        assert [e.rev for e in found] == list(range(1, len(found) + 1))
        assert store.feed.rev == found[-1].rev
        at_hand = store.feed.since(found[-30].rev, 1000)
        assert at_hand is None or list(at_hand) == found[-29:]

    async def test_a_failed_verb_leaves_nothing_behind_while_its_neighbours_stay(
        self, store, project
    ):
        def fails(tx: Tx) -> None:
            tx.emit(NewEvent("test.nothing", "x"))
            raise ValueError("no")

        done = await asyncio.gather(
            add_task(store, project), store.write(fails), add_task(store, project),
            return_exceptions=True,
        )  # fmt: skip
        assert isinstance(done[1], ValueError)
        found = await store.read(events.events_after, 0, limit=100)
        assert "test.nothing" not in {e.type for e in found}
        assert list(store.feed.since(0, 100) or found) == found
        assert len(await store.read(tasks.list_tasks)) == 2

    async def test_an_event_knows_what_led_to_it_and_what_it_led_to(self, store):
        def write(tx: Tx) -> list[int]:
            revs = [tx.emit(NewEvent("own.kind", "first"))]
            for _ in range(120):
                revs.append(tx.emit(NewEvent("own.kind", "next", cause=revs[-1])))
                tx.emit(NewEvent("own.kind", "aside", cause=revs[0]))
            return revs

        revs = await store.write(write)
        last = await store.read(events.get_event, revs[-1])
        chain = await store.read(events.causes_of, last)
        assert [event.rev for event in chain] == revs[-101:-1]
        led_to = await store.read(events.led_to, revs[0])
        assert [event.subject for event in led_to] == ["next", *["aside"] * 99]
        assert [e.rev for e in await store.read(events.led_to, revs[3])] == [revs[4]]

    async def test_a_cause_that_comes_after_its_event_ends_the_chain(self, store):
        def write(tx: Tx) -> int:
            rev = tx.emit(NewEvent("own.kind", "first", cause=tx.rev + 2))
            tx.emit(NewEvent("own.kind", "second", cause=rev))
            return tx.emit(NewEvent("own.kind", "itself", cause=rev + 2))

        own = await store.write(write)
        for rev, chain in ((own - 2, []), (own - 1, ["first"]), (own, [])):
            event = await store.read(events.get_event, rev)
            assert [e.subject for e in await store.read(events.causes_of, event)] == chain

    async def test_each_claim_has_a_fresh_token_and_the_next_attempt_number(self, store, project):
        await add_task(store, project)
        first = await admit_one(store)
        again = await step(store, first, Stage.QUEUED)
        second = await admit_one(store)
        assert (first.attempt, second.attempt) == (1, 2)
        assert len({first.token, second.token, ""}) == 3
        assert again.token == ""

    async def test_a_stale_attempt_cannot_finish_a_task_that_was_claimed_again(
        self, store, project
    ):
        await add_task(store, project)
        stale = await admit_one(store)
        await step(store, stale, Stage.QUEUED)
        current = await admit_one(store)
        assert stale.stage is current.stage
        with pytest.raises(Stale):
            await step(store, stale, Stage.RUNNING)
        assert (await step(store, current, Stage.RUNNING)).stage is Stage.RUNNING

    async def test_taking_over_fences_out_the_process_before(self, store, project):
        await add_task(store, project)
        old = await admit_one(store)
        (new,) = await store.write(claims.take_over)
        assert (new.id, new.attempt, new.stage) == (old.id, old.attempt, old.stage)
        with pytest.raises(Stale):
            await step(store, old, Stage.RUNNING)
        assert (await step(store, new, Stage.RUNNING)).stage is Stage.RUNNING

    async def test_of_two_who_move_the_same_task_one_wins(self, store, project):
        task = await add_task(store, project)
        outcomes = await asyncio.gather(
            step(store, task, Stage.CANCELLED), step(store, task, Stage.FAILED),
            return_exceptions=True,
        )  # fmt: skip
        assert sum(isinstance(o, Stale) for o in outcomes) == 1

    async def test_a_step_off_the_walk_is_refused(self, store, project):
        task = await add_task(store, project)
        with pytest.raises(Conflict):
            await step(store, task, Stage.COMPLETED)

    async def test_admission_keeps_the_fleets_and_each_projects_limit(self, store, project):
        other = await add_project(store, "other")
        for n in range(6):
            await add_task(store, project if n % 2 else other)
        claimed = await store.write(admission.admit, Limits(3, {project: 1}, 5))
        assert len(claimed) == 3
        assert sum(t.project_id == project for t in claimed) == 1
        assert await store.write(admission.admit, Limits(3, {project: 1}, 5)) == []

    async def test_tasks_of_a_project_at_its_limit_hide_no_others(self, store, project):
        for _ in range(210):  # more than are read at a time
            await add_task(store, project)
        limits = Limits(9, {project: 1}, 5)
        assert len(await store.write(admission.admit, limits)) == 1
        await add_task(store, await add_project(store, "other"))
        (claimed,) = await store.write(admission.admit, limits)
        assert claimed.project_id != project

    async def test_only_agents_hold_slots(self, store, project):
        await add_task(store, project)
        await add_task(store, project)
        first = await admit_one(store)
        assert await store.write(admission.admit, Limits(1, {}, 1)) == []
        await step(store, await step(store, first, Stage.RUNNING), Stage.VALIDATING)
        assert len(await store.write(admission.admit, Limits(1, {}, 1))) == 1

    async def test_the_most_urgent_starts_first_then_the_list_then_the_oldest(self, store, project):
        plain = await add_task(store, project)
        listed = await add_task(store, project)
        urgent = await add_task(store, project, priority=9)
        await store.write(listing.put, listed)
        claimed = await store.write(admission.admit, PLENTY)
        assert [t.id for t in claimed] == [urgent.id, plain.id, listed.id]

    async def test_so_many_workers_of_a_manager_are_claimed_and_the_rest_are_told_so(
        self, store, project
    ):
        boss = await hire_manager(store, project)
        other = await hire_manager(store, project)
        for n in range(3):
            await add_task(store, project, parent_id=boss.id, errand=f"w{n}")
        await add_task(store, project, parent_id=other.id, errand="w0")
        plain = await add_task(store, project)
        limits = Limits(9, {}, 9, {project: ProjectSettings(max_workers=2)})
        claimed = await store.write(admission.admit, limits)
        assert [(t.parent_id, t.errand) for t in claimed] == [
            (boss.id, "w0"), (boss.id, "w1"), (other.id, "w0"), (None, None),
        ]  # fmt: skip
        assert claimed[-1].id == plain.id
        for _ in range(2):
            assert await store.write(admission.admit, limits) == []
        told = await store.read(events.events_after, 0, kind="task.held")
        assert [event.payload for event in told] == [{"worker": "w2", "most": 2}]
        (last,) = await store.read(tasks.list_tasks, stages=[Stage.QUEUED])
        assert (
            last.reason == "waits its turn: no more than 2 of its manager's workers run at a time"
        )
        await finish(store, claimed[0], Stage.CANCELLED)
        (last,) = await store.write(admission.admit, limits)
        assert (last.errand, last.reason) == ("w2", "")

    @pytest.mark.parametrize("autonomy", Autonomy)
    async def test_no_worker_starts_once_its_manager_and_the_others_have_spent_the_budget(
        self, store, project, autonomy
    ):
        boss = await hire_manager(store, project, budget_usd=10.0)
        # Who writes tests for a worker is paid from the same purse.
        names = ({"errand": "w0"}, {"playbook": ACCEPTANCE}, {"errand": "w2"})
        first, second, third = [
            await add_task(store, project, parent_id=boss.id, autonomy=autonomy, **name)
            for name in names
        ]
        alone = Limits(1, {}, 1)
        await spend(store, boss, 4.0)
        (now,) = await store.write(admission.admit, alone)
        assert now.id == first.id
        await spend(store, now, 4.9)
        await finish(store, now)
        (now,) = await store.write(admission.admit, alone)
        assert now.id == second.id, "9 are the workers' to see, and 8.9 are spent"
        await spend(store, now, 0.1)
        await finish(store, now)
        free = await add_task(store, project)
        assert [t.id for t in await store.write(admission.admit, alone)] == [free.id]
        kept = await store.read(tasks.get_task, third.id)
        assert kept.stage is (Stage.FAILED if autonomy is Autonomy.FULL else Stage.WAITING)
        assert f"{boss.label} and its workers have spent $9.00 of $10.00" in kept.reason
        assert f"muster task budget {boss.label} USD" in kept.reason
        if autonomy is not Autonomy.FULL:
            (asked,) = await store.read(judgements.list_breakpoints)
            assert (asked.task_id, "retry" in asked.options) == (third.id, True)
            assert kept.reason in asked.question
        await store.write(tasks.set_budget, boss, 12.0)
        await step(store, kept, Stage.QUEUED)
        (now,) = await store.write(admission.admit, PLENTY)
        assert now.id == third.id

    async def test_a_manager_whose_budget_is_spent_does_not_start_again(self, store, project):
        boss = await hire_manager(store, project, budget_usd=10.0)
        await spend(store, boss, 9.5)
        again = await step(store, boss, Stage.QUEUED)
        (boss,) = await store.write(admission.admit, PLENTY)
        assert boss.attempt == again.attempt + 1, "workers leave it the rest"
        await spend(store, boss, 0.5)
        await step(store, boss, Stage.QUEUED)
        assert await store.write(admission.admit, PLENTY) == []
        assert (await store.read(tasks.get_task, boss.id)).stage is Stage.WAITING

    async def test_a_pause_holds_everything(self, store, project):
        await add_task(store, project)
        await store.write(judgements.change_queue, {"paused": True})
        assert await store.write(admission.admit, PLENTY) == []
        await store.write(judgements.change_queue, {"paused": False})
        assert len(await store.write(admission.admit, PLENTY)) == 1

    async def test_a_failed_listed_task_stops_the_list_and_nothing_else(self, store, project):
        listed = [await add_task(store, project) for _ in range(2)]
        for task in listed:
            await store.write(listing.put, task)
        await finish(store, await admit_one(store), Stage.FAILED)
        assert (await store.read(judgements.queue_settings)).stopped_by == listed[0].id
        free = await add_task(store, project)
        assert [t.id for t in await store.write(admission.admit, PLENTY)] == [free.id]
        (told,) = await store.read(events.events_after, 0, kind="queue.stopped")
        assert told.payload == {
            "stopped_by": listed[0].id, "task": listed[0].label,
            "why": f"{listed[0].label} failed, so that nothing more of the list starts",
        }  # fmt: skip

    async def test_a_stopped_list_goes_on_when_the_task_that_stopped_it_is_tried_again(
        self, store, project
    ):
        listed = [await add_task(store, project) for _ in range(3)]
        for task in listed:
            await store.write(listing.put, task)
        failed = [
            await finish(store, task, Stage.FAILED)
            for task in await store.write(admission.admit, Limits(2, {}, 2))
        ]
        await step(store, failed[1], Stage.QUEUED)
        assert (await store.read(judgements.queue_settings)).stopped_by == failed[0].id
        await step(store, failed[0], Stage.QUEUED)
        assert (await store.read(judgements.queue_settings)).stopped_by is None
        claimed = await store.write(admission.admit, PLENTY)
        assert [t.id for t in claimed] == [t.id for t in listed], "each has kept its turn"

    @pytest.mark.parametrize(
        ("moved", "place", "then"),
        [
            (4, 1, "0 4 1 2 3 5"), (1, 99, "0 2 3 4 1 5"), (1, 3, "0 2 1 3 4 5"),
            (5, 1, "0 1 2 3 4 5"), (0, 4, "0 1 2 3 4 5"), (2, None, "0 1 3 4 2 5"),
        ],
    )  # fmt: skip
    async def test_a_task_moves_as_near_to_its_place_as_its_priority_lets_it(
        self, store, project, moved, place, then
    ):
        made = [await add_task(store, project, priority=p) for p in (7, 5, 5, 5, 5, 2)]
        for task in made:
            await store.write(listing.put, task)
        before = (await store.read(events.newest_rev), await store.read(listing.listed))
        assert [t.number - 1 for t in before[1]] == [0, 1, 2, 3, 4, 5]
        task = before[1][moved]
        await store.write(listing.put, task, place)
        found = await store.read(listing.listed)
        assert " ".join(str(t.number - 1) for t in found) == then
        assert [t.list_position for t in found] == [1, 2, 3, 4, 5, 6]
        told = await store.read(events.events_after, before[0])
        at = then.split().index(str(moved)) + 1
        assert [e.payload for e in told] == (
            [] if at == moved + 1 else [{"task": task.label, "position": at}]
        )
        changed = {t.id for t in found if t.rev > before[0]}
        assert changed == {t.id for t, b in zip(found, before[1], strict=True) if t.id != b.id}

    async def test_places_count_what_has_not_ended_and_what_has_keeps_its_turn(
        self, store, project
    ):
        made = [await add_task(store, project) for _ in range(4)]
        for task in made:
            await store.write(listing.put, task)
        ended = await finish(store, await admit_one(store), Stage.CANCELLED)
        last = (await store.read(listing.listed))[3]
        await store.write(listing.put, last, 2)
        found = [t.number for t in await store.read(listing.listed)]
        assert found == [1, 2, 4, 3]
        await store.write(listing.take_off, await store.read(tasks.get_task, made[1].id))
        back = await step(store, ended, Stage.QUEUED)
        found = await store.read(listing.listed)
        assert [t.number for t in found] == [1, 4, 3]
        assert found[0].id == back.id

    async def test_the_whole_list_is_ordered_at_once_or_not_at_all(self, store, project):
        made = [await add_task(store, project, priority=p) for p in (5, 5, 5, 9)]
        for task in made:
            await store.write(listing.put, task)
        done = await finish(store, await admit_one(store), Stage.CANCELLED)
        await store.write(listing.set_order, [made[2].label, made[0].id, made[1].label])
        assert [t.number for t in await store.read(listing.listed)] == [4, 3, 1, 2]
        rev = await store.read(events.newest_rev)
        for order, fault in (
            ([made[0].id, made[1].id], f"left out: {made[2].label}"),
            ([made[n].id for n in (0, 1, 2, 0)], f"named twice: {made[0].label}"),
            ([*(t.id for t in made[:3]), done.label], f"not on it, or ended: {done.label}"),
        ):
            with pytest.raises(Conflict, match=fault):
                await store.write(listing.set_order, order)
        assert await store.read(events.newest_rev) == rev
        urgent = await store.write(tasks.set_priority, made[1], 8)
        await store.write(listing.set_order, [made[0].id, made[1].id, made[2].id])
        assert [t.number for t in await store.read(listing.listed)] == [4, 2, 1, 3]
        assert urgent.priority == 8

    async def test_a_task_that_waits_for_its_turn_can_become_more_urgent_and_no_ended_one(
        self, store, project
    ):
        first, second = [await add_task(store, project) for _ in range(2)]
        rev = (await store.write(tasks.set_priority, second, 9)).rev
        again = await store.read(tasks.get_task, second.id)
        assert (await store.write(tasks.set_priority, again, 9)).rev == rev
        claimed = await admit_one(store)
        assert claimed.id == second.id
        await finish(store, claimed, Stage.FAILED)
        with pytest.raises(Conflict):
            await store.write(tasks.set_priority, await store.read(tasks.get_task, second.id), 1)
        assert (await admit_one(store)).id == first.id

    async def test_a_parked_task_waits_for_its_time(self, store, project):
        await add_task(store, project)
        task = await admit_one(store)
        await step(store, task, Stage.QUEUED, columns={"due_at": 4_000_000_000_000})
        assert await store.write(admission.admit, PLENTY) == []
        assert (await store.read(claims.outlook)).due == 4_000_000_000_000

    async def test_dependants_start_when_all_they_need_has_completed(self, store, project):
        one, two = await add_task(store, project), await add_task(store, project)
        third = await add_task(store, project, needs=(one.id, two.id))
        assert third.stage is Stage.BLOCKED
        for claimed in await store.write(admission.admit, PLENTY):
            assert (await store.read(tasks.get_task, third.id)).stage is Stage.BLOCKED
            await finish(store, claimed)
        assert (await store.read(tasks.get_task, third.id)).stage is Stage.QUEUED

    async def test_dependants_of_a_failed_task_fail_and_say_why(self, store, project):
        one = await add_task(store, project)
        two = await add_task(store, project, needs=(one.id,))
        three = await add_task(store, project, needs=(two.id,))
        await finish(store, await admit_one(store), Stage.FAILED)
        for task, needed in ((two, one), (three, two)):
            ended = await store.read(tasks.get_task, task.id)
            assert ended.stage is Stage.FAILED
            assert needed.label in ended.reason
        with pytest.raises(Invalid, match=one.label):
            await add_task(store, project, needs=(one.id,))

    async def test_a_task_that_needs_two_of_a_failed_family_fails_once(self, store, project):
        one = await add_task(store, project)
        two = await add_task(store, project, needs=(one.id,))
        both = await add_task(store, project, needs=(one.id, two.id))
        await finish(store, await admit_one(store), Stage.FAILED)
        assert (await store.read(tasks.get_task, both.id)).stage is Stage.FAILED

    async def test_a_cycle_is_refused_and_named(self, store, project):
        one = await add_task(store, project)
        two = await add_task(store, project, needs=(one.id,))
        three = await add_task(store, project, needs=(two.id,))
        with pytest.raises(Cycle) as refused:
            await store.write(tasks.add_needs, one.id, (three.id,))
        for task in (one, two, three):
            assert task.label in refused.value.detail
        assert (await store.read(tasks.get_task, one.id)).needs == ()

    async def test_how_many_wait_is_counted_through_others(self, store, project):
        one = await add_task(store, project)
        two = await add_task(store, project, needs=(one.id,))
        await add_task(store, project, needs=(two.id,))
        assert await store.read(tasks.holds_back, one.id) == 2

    async def test_the_same_key_gives_the_same_task_once(self, store, project):
        async def submit(body: str, key: str):
            return await store.write(
                keys.once, key, {"body": body}, lambda tx: {"made": tx.next("task")}
            )

        answers = await asyncio.gather(*(submit("a", "k") for _ in range(10)))
        assert {a["made"] for a, _ in answers} == {1}
        assert sum(not replayed for _, replayed in answers) == 1
        with pytest.raises(KeyReused):
            await submit("b", "k")
        assert (await submit("a", "other"))[0] == {"made": 2}

    async def test_one_attempt_has_one_agent(self, store, project):
        await add_task(store, project)
        task = await admit_one(store)
        first = await store.write(
            agents.start_agent, task, NewAgent("coding-1", Role.CODING, "command", "process")
        )
        again = await store.write(
            agents.start_agent, task, NewAgent("coding-2", Role.CODING, "command", "process")
        )
        assert again == first

    async def test_a_stale_attempt_cannot_report(self, store, project):
        await add_task(store, project)
        task = await admit_one(store)
        await store.write(
            agents.start_agent, task, NewAgent("coding-1", Role.CODING, "command", "process")
        )
        await store.write(claims.take_over)
        with pytest.raises(Stale):
            await store.write(agents.report, task, "coding-1", {"last_line": "late"})
        with pytest.raises(Stale):
            await store.write(
                agents.start_agent, task, NewAgent("coding-9", Role.CODING, "command", "process")
            )

    async def test_an_agents_end_and_its_tasks_step_are_one(self, store, project):
        await add_task(store, project)
        task = await admit_one(store)
        await store.write(
            agents.start_agent, task, NewAgent("coding-1", Role.CODING, "command", "process")
        )
        task = await step(store, task, Stage.RUNNING)
        ended = EndedAgent("coding-1", Outcome.COMPLETED, "", 0, 1.5, 9, Usage(10, 20, 0.25))
        await step(store, task, Stage.VALIDATING, ended=ended)
        agent = await store.read(agents.get_agent, "coding-1")
        assert (str(agent.status), agent.usage.cost_usd) == ("completed", 0.25)
        assert await store.read(tasks.cost_of, [task.id]) == {task.id: (0.25, 10, 20)}

    async def test_no_agent_of_an_ended_task_is_shown_alive(self, store, project):
        await add_task(store, project)
        task = await admit_one(store)
        await store.write(
            agents.start_agent, task, NewAgent("coding-1", Role.CODING, "command", "process")
        )
        await step(store, task, Stage.CANCELLED)
        assert str((await store.read(agents.get_agent, "coding-1")).status) == "killed"

    async def _waiting(self, store, project) -> Task:
        await add_task(store, project)
        task = await step(store, await admit_one(store), Stage.RUNNING)
        task = await step(store, task, Stage.VALIDATING)
        ask = NewBreakpoint(BreakpointKind.MERGE, "Merge?", ("merge", "cancel"))
        return await step(store, task, Stage.WAITING, ask=ask)

    async def test_a_question_is_answered_once_and_says_by_whom(self, store, project):
        task = await self._waiting(store, project)
        (asked,) = await store.read(judgements.list_breakpoints)
        answer = Move(Fence.of(task), Stage.MERGING, answer="merge", by="ada")
        done, moved = await store.write(moves.resolve, asked.id, answer)
        assert (done.open, done.answer, done.by) == (False, "merge", "ada")
        assert moved.stage is Stage.MERGING
        assert moved.token
        with pytest.raises(Conflict, match="ada"):
            await store.write(moves.resolve, asked.id, answer)

    async def test_a_question_never_outlives_its_waiting(self, store, project):
        task = await self._waiting(store, project)
        await step(store, task, Stage.CANCELLED)
        assert await store.read(judgements.list_breakpoints) == []

    async def test_an_outcome_is_kept_once_and_gives_way_to_a_stronger_one(self, store, project):
        await add_task(store, project)
        task = await admit_one(store)
        sure = Confidence(
            *(0.5, (Reason("It is.", 0.7),), (), "", {"coverage": 0.5}, 0.1, "first"),
            Calibration(1.0, 0.1, 20, 5),
        )
        decision = Decision(Step.ACCEPT, ())
        verdict = Verdict("vdt_1", task.id, 1, "agt_1", (), decision, 0.5, 0, sure=sure)
        task = await step(store, task, Stage.QUEUED, verdict=verdict)
        judged = await store.read(outcomes.judged, task.id)
        assert judged == outcomes.Judged("vdt_1", 1, 0.5)
        (kept,) = await store.read(judgements.verdicts_of, task.id)
        assert kept.sure == sure

        stayed = Sign(True, Shown.STAYED, "nobody undid it")
        reverted = Sign(False, Shown.REVERTED, "somebody did")
        said = Sign(True, Shown.SAID, "it is fine", "ann")
        for sign in (stayed, stayed, reverted, stayed, said, reverted):
            await store.write(outcomes.record, task, judged, sign)
            (now,) = await store.read(outcomes.outcomes_of, task.id)
        assert (now.right, now.shown, now.why, now.by) == (True, Shown.SAID, "it is fine", "ann")
        assert await store.read(outcomes.known_of, project) == [(sure, True)]
        assert [o.rev for o in await store.read(outcomes.outcomes_of_project, project)] == [now.rev]
        seen = await store.read(events.events_after, 0, task_id=task.id)
        told = [e.payload["shown"] for e in seen if e.type == "outcome.recorded"]
        assert told == ["stayed", "reverted", "said"]

    async def test_a_person_who_would_not_have_work_merged_shows_that_it_was_wrong(
        self, store, project
    ):
        for answer, kind, shows in (
            ("retry", BreakpointKind.MERGE, True),
            ("fail", BreakpointKind.EVIDENCE, True),
            ("cancel", BreakpointKind.MERGE, False),
            ("close", BreakpointKind.MERGE, False),
            ("retry", BreakpointKind.EXHAUSTED, False),
            ("retry", BreakpointKind.CONFLICT, False),
        ):
            await add_task(store, project)
            task = await admit_one(store)
            options = tuple(map(str, OPTIONS[kind]))
            decision = Decision(Step.ASK, (), "Merge it?", str(kind), options)
            verdict = Verdict(new_id("vdt"), task.id, 1, "agt_1", (), decision, None, 0)
            ask = NewBreakpoint(kind, "Merge it?", options, {"verdict": verdict.id})
            task = await step(store, task, Stage.WAITING, verdict=verdict, ask=ask)
            after = Move(Fence.of(task), Stage.FAILED, answer=answer, note="no", by="ann")
            await store.write(moves.move, after)
            found = await store.read(outcomes.outcomes_of, task.id)
            assert [(o.shown, o.right, o.why, o.by) for o in found] == (
                [(Shown.REFUSED, False, "no", "ann")] if shows else []
            ), (answer, kind)

    async def test_a_verdict_is_kept_with_its_decision(self, store, project):
        await add_task(store, project)
        task = await step(store, await admit_one(store), Stage.RUNNING)
        task = await step(store, task, Stage.VALIDATING)
        finding = Finding("tests.broken", Severity.VETO, "2 tests broke", {"broken": ["a", "b"]})
        decision = Decision(Step.RETRY, ("2 tests broke",), feedback={"x": 1})
        verdict = Verdict("vdt_1", task.id, 1, None, (finding,), decision, None, 0)
        point = NewCheckpoint("attempt 1", "c0ffee")
        await step(store, task, Stage.QUEUED, verdict=verdict, checkpoint=point)
        (kept,) = await store.read(judgements.verdicts_of, task.id)
        assert (kept.findings, kept.decision, kept.passed) == ((finding,), decision, False)
        kinds = [e.type for e in await store.read(events.events_after, 0, task_id=task.id)]
        assert kinds[-4:] == [
            "task.queued", "verdict.reached", "decision.made", "checkpoint.taken",
        ]  # fmt: skip
        (point,) = await store.read(checkpoints.checkpoints_of, task.id)
        assert (point.n, point.commit) == (1, "c0ffee")

    async def test_a_project_with_live_tasks_is_not_removed(self, store, project):
        task = await add_task(store, project)
        with pytest.raises(Conflict, match=task.label):
            await store.write(projects.remove_project, project)
        await step(store, task, Stage.CANCELLED)
        await store.write(projects.remove_project, project)
        assert await store.read(projects.list_projects) == []

    async def test_registering_a_repository_again_gives_the_same_project(self, store, project):
        assert await add_project(store) == project

    async def test_a_wish_is_found_by_the_engine(self, store, project):
        await add_task(store, project)
        task = await admit_one(store)
        await store.write(tasks.wish, task.id, "cancel")
        outlook = await store.read(claims.outlook)
        assert outlook.wished == (task.id,)
        assert outlook.held == (task.id,)

    async def test_followers_are_woken_by_a_commit(self, store, project):
        store.feed.bind(asyncio.get_running_loop())
        seen = store.feed.rev
        waiting = asyncio.ensure_future(store.feed.wait(seen, 30))
        await add_task(store, project)
        assert await waiting > seen
