"""A manager's tools: its own workers by its own names, and nothing of anybody else's."""

from __future__ import annotations

import asyncio

import pytest

from engine.houses import shell, spending
from mcp_door.streets import TOKEN, call, refused, street
from muster.domain.errand import MOST_WORKERS

TOOLS = {
    "claim_work", "report_progress", "ask_person", "finish", "search_context", "emit_event",
    "spawn_worker", "list_workers", "wait_for_workers", "worker_result", "worker_log",
    "retry_worker", "cancel_worker",
}  # fmt: skip
OTHERS = {
    "makes": shell("echo working; echo x > made-$MUSTER_TASK.txt"),
    "fails": shell("echo no >&2; exit 3"),
    "spends": spending(1.9, 600),
    "fails-once": shell('test "$MUSTER_ATTEMPT" -gt 1 || exit 3; echo x > late.txt'),
}


@pytest.fixture
async def here(tmp_path):
    async with street(tmp_path, OTHERS, autonomy="full", max_attempts=1) as made:
        yield made


async def manager(here, **body):
    """A manager at work, and its token."""
    return await here.hire("Make things", playbook="manager", runtime="process", **body)


async def worker(client, name="one", agent="makes", prompt="make it", **more):
    return await call(
        client, "spawn_worker", id=name, prompt=prompt, agent=agent, type="chore", **more
    )


async def test_a_manager_is_offered_its_own_tools_and_an_agent_is_not(here):
    _, token = await manager(here)
    _, others = await here.hire()
    async with here.client(token) as boss, here.client(others) as agent:
        assert {t.name for t in (await boss.list_tools()).tools} == TOOLS
        assert (await refused(boss, "propose_subtasks", tasks=[]))["code"] == "not-found"
        work = await call(boss, "claim_work")
        assert "You are the manager" in work["brief"]
        assert "Make things" in work["brief"]
        assert (await refused(agent, "list_workers"))["code"] == "not-found"


async def test_an_agent_that_is_no_manager_is_refused_by_the_counter_itself(here):
    task, _ = await here.hire()
    (agent,) = (await here.place.service.get_task(task["id"]))["agents"]
    service = here.place.service
    for asked in (
        service.spawn_worker(agent["id"], {"id": "a", "prompt": "do"}),
        service.list_workers(agent["id"]),
        service.cancel_worker(agent["id"], "a"),
        service.worker_log(agent["id"], "a"),
    ):
        with pytest.raises(Exception, match="is no manager"):
            await asked


async def test_workers_run_in_order_are_waited_for_and_their_results_are_read(here):
    task, token = await manager(here)
    async with here.client(token) as boss:
        made = await worker(boss)
        assert (made["id"], made["status"]) == ("one", "queued")
        second = await worker(boss, "two", after=["one"])
        assert second["status"] == "blocked"
        async with asyncio.timeout(60):
            while (team := await call(boss, "wait_for_workers", wait_seconds=20))["at_work"]:
                pass
        assert [(w["id"], w["status"], w["passed"]) for w in team["workers"]] == [
            ("one", "completed", True), ("two", "completed", True)
        ]  # fmt: skip
        read = await call(boss, "worker_result", id="one")
        assert read["ended"]
        assert read["merged_commit"] == team["workers"][0]["merged_commit"]
        assert "working" in (await call(boss, "worker_log", id="one"))["text"]
        await call(boss, "finish", status="completed", summary="both")
    ended = await here.let_go(task)
    assert ended["status"] == "completed", ended["reason"]
    assert [w["errand"] for w in ended["workers"]] == ["one", "two"]


async def test_workers_take_over_the_model_of_their_manager_unless_they_are_others(here):
    task, token = await manager(here, model="a-model")
    async with here.client(token) as boss:
        await call(boss, "spawn_worker", id="same", prompt="make it")
        await worker(boss, "other")
    team = (await here.place.service.get_task(task["id"]))["workers"]
    made = [await here.place.service.get_task(one["id"]) for one in team]
    assert [(one["errand"], one["model"]) for one in made] == [("same", "a-model"), ("other", None)]


async def test_the_same_call_again_gives_the_same_worker_and_its_name_no_other_errand(here):
    _, token = await manager(here)
    async with here.client(token) as boss:
        first = await worker(boss)
        again = await worker(boss)
        assert again["task"] == first["task"]
        taken = await refused(boss, "spawn_worker", id="one", prompt="something else")
        assert taken["code"] == "conflict"
        assert len((await call(boss, "list_workers"))["workers"]) == 1
        for wrong in ({"id": "../x"}, {"id": "x", "after": ["nobody"]}, {"id": "x", "agent": "?"}):
            assert (await refused(boss, "spawn_worker", prompt="do", **wrong))["code"] == "invalid"
        secret = await refused(boss, "spawn_worker", id="y", prompt="do", image="other")
        assert secret["code"] == "invalid"


async def test_a_manager_cannot_name_see_or_end_what_another_one_has_spawned(here):
    _, one = await manager(here)
    _, other = await manager(here)
    async with here.client(one) as boss, here.client(other) as stranger:
        made = await worker(boss, agent="holds")
        for name in ("one", made["task"], "MU-1"):
            for tool in ("worker_result", "worker_log", "cancel_worker"):
                assert (await refused(stranger, tool, id=name))["code"] == "not-found", (tool, name)
            again = await refused(stranger, "retry_worker", id=name, note="again")
            assert again["code"] == "not-found"
        assert (await call(stranger, "list_workers"))["workers"] == []
        blocked = await refused(stranger, "spawn_worker", id="x", prompt="do", after=["one"])
        assert blocked["code"] == "invalid"
        own = await worker(stranger, agent="makes")
        assert own["task"] != made["task"]
        (left,) = (await call(boss, "list_workers"))["workers"]
        assert left["status"] in {"queued", "executing"}


async def test_a_summary_is_not_taken_while_workers_are_at_work_and_a_cancelled_one_is_not(here):
    task, token = await manager(here)
    async with here.client(token) as boss:
        made = await worker(boss, agent="holds")
        await here.token(made["task"])
        early = await refused(boss, "finish", status="completed", summary="done")
        assert "one" in early["detail"]
        await call(boss, "cancel_worker", id="one")
        async with asyncio.timeout(60):
            while (await call(boss, "wait_for_workers", wait_seconds=20))["at_work"]:
                pass
        await call(boss, "finish", status="completed", summary="gave it up")
    ended = await here.let_go(task)
    assert ended["status"] == "waiting", ended["reason"]
    found = [finding["code"] for finding in ended["verdicts"][-1]["findings"]]
    assert found == ["manager.no_work", "worker.cancelled"]


async def test_a_failed_worker_that_is_set_to_work_again_and_completes_makes_it_good(here):
    task, token = await manager(here)
    async with here.client(token) as boss:
        await worker(boss, agent="fails-once")
        failed = await call(boss, "wait_for_workers", wait_seconds=60)
        assert [w["status"] for w in failed["workers"]] == ["failed"]
        await call(boss, "retry_worker", id="one", note="now really")
        good = await call(boss, "wait_for_workers", wait_seconds=60)
        assert [w["status"] for w in good["workers"]] == ["completed"]
        await call(boss, "finish", status="completed", summary="at last")
    assert (await here.let_go(task))["status"] == "completed"


async def test_waiting_ends_with_the_first_move_after_what_was_seen(here):
    _, token = await manager(here)
    async with here.client(token) as boss:
        made = await worker(boss, agent="holds")
        await here.token(made["task"])
        seen = (await call(boss, "list_workers"))["seen"]
        waiting = asyncio.create_task(call(boss, "wait_for_workers", seen=seen, wait_seconds=50))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        (here.held / f"{made['task']}.go").touch()
        async with asyncio.timeout(40):
            assert (await waiting)["seen"] > seen


async def test_a_worker_whose_tests_are_being_written_is_at_work(here):
    """Else its manager would sum up before the worker has begun."""
    more = {"acceptance_tests": "on", "acceptance_agent": "holds", "test_command": "true"}
    await here.place.service.change_project("repo", {"settings": more})
    task, token = await manager(here)
    async with here.client(token) as boss:
        made = await call(boss, "spawn_worker", id="one", prompt="make it", agent="makes")
        assert made["status"] == "blocked"
        (author,) = (await here.place.service.get_task(task["id"]))["authors"]
        await here.place.until(author["id"], "executing")
        team = await call(boss, "list_workers")
        assert ([each["id"] for each in team["workers"]], team["at_work"]) == (["one"], ["one"])
        said = await refused(boss, "finish", status="completed", summary="done")
        assert "workers of yours are at work: one" in said["detail"]
        await call(boss, "cancel_worker", id="one")
        assert not (await call(boss, "list_workers"))["at_work"]
    await here.place.until(author["id"], "cancelled")


async def test_a_manager_cannot_spawn_without_end(here):
    task, token = await manager(here)
    (agent,) = (await here.place.service.get_task(task["id"]))["agents"]
    await here.place.service.set_queue({"paused": True})
    for n in range(MOST_WORKERS):
        errand = {"id": f"w{n}", "prompt": "make it"}
        await here.place.service.spawn_worker(agent["id"], errand)
    async with here.client(token) as boss:
        problem = await refused(boss, "spawn_worker", id="more", prompt="do")
        assert (problem["code"], str(MOST_WORKERS) in problem["detail"]) == ("conflict", True)
        assert len((await call(boss, "list_workers"))["workers"]) == MOST_WORKERS


async def test_a_manager_sees_what_is_left_to_spend_and_spawns_nothing_without(here):
    _, token = await manager(here, budget_usd=2.0)
    async with here.client(token) as boss:
        team = await call(boss, "list_workers")
        assert (team["at_once"], team["budget_left_usd"]) == (4, 1.8)
        await worker(boss, agent="spends")
        team = await call(boss, "wait_for_workers", wait_seconds=60)
        (one,) = team["workers"]
        assert (one["status"], team["budget_left_usd"]) == ("failed", 0.0)
        assert "have spent $1.90 of $2.00" in one["reason"]
        for asked in (
            refused(boss, "spawn_worker", id="two", prompt="do"),
            refused(boss, "retry_worker", id="one", note="cheaper"),
        ):
            problem = await asked
            assert (problem["code"], "$1.90 of $2.00" in problem["detail"]) == ("conflict", True)


async def test_under_manual_a_person_says_go_to_each_worker(tmp_path):
    async with street(tmp_path, OTHERS, autonomy="manual") as here:
        service = here.place.service
        made = await here.place.submit(
            "holds", "Make", playbook="manager", runtime="process", type="chore"
        )
        await service.approve_task(made["id"])
        token = await here.token(made["label"])
        async with here.client(token) as boss:
            assert (await worker(boss))["status"] == "proposed"
            (asked,) = (await service.list_breakpoints())["items"]
            assert asked["kind"] == "start"


async def test_a_person_lists_no_workers_by_these_tools(here):
    async with here.client(TOKEN) as person:
        assert (await refused(person, "list_workers"))["code"] == "not-found"
