"""Who goes first: an agent that can start, before the verdict on one that has ended."""

from __future__ import annotations

import asyncio

from engine.houses import shell, town
from house.patience import PATIENCE
from muster.engine.turns import Turns


async def waits(turns: Turns, rev: int) -> asyncio.Task[None]:
    waiting = asyncio.create_task(turns.after_starts(rev))
    await asyncio.sleep(0)
    return waiting


async def test_nobody_waits_where_nothing_is_to_start():
    turns = Turns(longest=PATIENCE)
    assert (await waits(turns, 7)).done()
    turns.looked(9, some_wait=False, admitted=())
    assert (await waits(turns, 12)).done()


async def test_a_verdict_waits_for_the_look_after_its_end_and_for_what_that_starts():
    turns = Turns(longest=PATIENCE)
    turns.looked(5, some_wait=True, admitted=())
    verdict = await waits(turns, 7)
    turns.looked(6, some_wait=True, admitted=())
    await asyncio.sleep(0)
    assert not verdict.done()
    turns.looked(7, some_wait=True, admitted=["a", "b"])
    await asyncio.sleep(0)
    turns.started("a")
    await asyncio.sleep(0)
    assert not verdict.done()
    # Who comes later is not waited for: there may be no end of them.
    turns.looked(8, some_wait=True, admitted=["c"])
    turns.started("b")
    await asyncio.wait_for(verdict, PATIENCE)


async def test_a_start_that_takes_long_is_not_waited_for():
    turns = Turns(longest=0.01)
    turns.looked(5, some_wait=True, admitted=["a"])
    await asyncio.wait_for(turns.after_starts(5), PATIENCE)


async def test_the_next_agent_starts_before_the_one_before_it_is_judged(tmp_path):
    agents = {"works": shell("sleep 0.2; echo x > $MUSTER_TASK")}
    async with town(tmp_path, agents, test_command="true", max_concurrent=1) as place:
        place.house.tools.turns.longest = PATIENCE
        first = await place.submit("works", type="chore")
        second = await place.submit("works", type="chore")
        for task in (first, second):
            await place.until(task["id"])
        told = (await place.service.list_events(limit=1000))["items"]
        order = [(event["type"], event["task_id"]) for event in told]
        assert order.index(("agent.started", second["id"])) < order.index(
            ("verdict.reached", first["id"])
        )
