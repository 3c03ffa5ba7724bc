"""The queue of a whole muster: a list that a failure stops, and a server that starts nothing."""

from __future__ import annotations

from dataclasses import replace

from engine.houses import shell, town, waiting_for

FAILS = shell("exit 3")
GOOD = shell("echo x > new-$MUSTER_TASK.txt")


async def listed(place, *agents: str, **body) -> list[dict]:
    """A task of each agent on the list, of a fleet that is paused meanwhile."""
    await place.service.set_queue({"paused": True})
    made = [await place.submit(agent, type="chore", **body) for agent in agents]
    for task in made:
        await place.service.queue_add(task["id"])
    return made


async def test_a_failure_stops_the_list_which_the_inbox_says_until_it_goes_on(tmp_path):
    go = tmp_path / "go"
    waits = shell(f"{waiting_for(go)} echo x > free")
    agents = {"fails": FAILS, "good": GOOD, "waits": waits}
    async with town(tmp_path, agents, at_once=2, max_attempts=1, test_command="true") as place:
        free = await place.submit("waits", type="chore")
        (first,) = await listed(place, "fails")
        second, third = await listed(place, "good", "good", after=[free["id"]])
        await place.service.queue_order([t["label"] for t in (first, third, second)])
        assert (await place.service.list_breakpoints())["stopped"] is None
        await place.service.set_queue({"paused": False})
        failed = await place.until(first["id"], "failed")
        go.touch()
        free = await place.until(free["id"])
        assert free["status"] == "completed", "what is on no list goes on"
        stop = (await place.service.list_breakpoints())["stopped"]
        assert (stop["task_label"], stop["holds_back"]) == (first["label"], 2)
        assert stop["why"] == failed["reason"] != ""
        assert stop["since"] == failed["finished_at"]
        assert (await place.service.get_queue())["stopped"] == stop
        await place.restart()
        assert (await place.service.list_breakpoints())["stopped"] == stop
        await place.service.set_queue({"paused": False})
        assert (await place.service.list_breakpoints())["stopped"] is None
        ended = [await place.until(task["id"]) for task in (second, third)]
        assert [task["status"] for task in ended] == ["completed", "completed"]


async def test_a_task_that_stopped_the_list_lets_it_go_on_when_it_is_tried_again(tmp_path):
    second_time = shell(f"[ -e {tmp_path}/been ] || {{ touch {tmp_path}/been; exit 3; }}; echo x>x")
    agents = {"second": second_time, "good": GOOD}
    async with town(tmp_path, agents, at_once=1, max_attempts=1, test_command="true") as place:
        first, last = await listed(place, "second", "good")
        await place.service.set_queue({"paused": False})
        await place.until(first["id"], "failed")
        await place.service.retry_task(first["id"])
        assert (await place.service.get_queue())["stopped"] is None
        for task in (first, last):
            assert (await place.until(task["id"]))["status"] == "completed"


async def test_a_server_without_a_processor_starts_nothing_until_one_has_it(tmp_path):
    async with town(tmp_path, {"good": GOOD}, test_command="true") as place:
        await place.service.set_queue({"paused": True})
        task = await place.submit("good", type="chore")
        place.settings = replace(place.settings, queue_processor=False)
        await place.restart()
        await place.service.set_queue({"paused": False})
        await place.restart()
        queue = await place.service.get_queue()
        assert (queue["settings"]["processor"], queue["waiting"]) == (False, 1)
        more = await place.submit("good", type="chore")
        await place.service.queue_add(more["id"])
        await look(place)
        for each in (task, more):
            assert (await place.service.get_task(each["id"]))["status"] == "queued"
        place.settings = replace(place.settings, queue_processor=True)
        await place.restart()
        for each in (task, more):
            assert (await place.until(each["id"]))["status"] == "completed"


async def look(place) -> None:
    """Have the engine look at the queue as it does when something moved, and start what it may."""
    await place.house.daemon._look(place.house.store.feed.moved)
