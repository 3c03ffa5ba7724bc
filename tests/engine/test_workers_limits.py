"""How many workers of a manager run at once, and what they may spend together."""

from __future__ import annotations

import asyncio

import pytest

from engine.houses import CALC, spending, town
from engine.managing import HOLDS, MAKES, mailbox_of, manage, manager, until_file, until_workers
from muster.domain.errors import NeedsRole
from muster.domain.person import FIRST_USER, Person

WAITS = "waits its turn: no more than 1 of its manager's workers run at a time"


async def test_a_worker_beyond_the_bound_waits_its_turn_and_its_manager_is_told(tmp_path):
    script = 'spawn one "hold" holds; spawn two "make" makes; ended two; sleep 600'
    agents = {"boss": manager(script), "holds": HOLDS, "makes": MAKES}
    async with town(tmp_path, agents, test_command="true", max_workers=1) as place:
        made = await manage(place)
        task = await until_workers(place, made["id"], ["executing", "queued"])
        box = mailbox_of(place, task)
        told = await until_file(box / "status" / "two.json", "waits its turn")
        assert (told["status"], told["text"]) == ("queued", WAITS)
        task = await place.service.get_task(made["id"])
        assert [w["reason"] for w in task["workers"]] == ["", WAITS]
        await place.restart()
        await place.service.cancel_task(task["workers"][0]["id"])
        assert (await place.until(task["workers"][1]["id"]))["status"] == "completed"
        held = (await place.service.list_events(0, type="task.held"))["items"]
        assert [event["payload"] for event in held] == [{"worker": "two", "most": 1}]


async def test_workers_are_stopped_when_together_they_have_spent_what_they_may(tmp_path):
    script = """
    spawn one "spend" spends; spawn two "spend" spends; spawn three "wait" spends
    ended one; ended two; ended three
    spawn four "more" spends
    while [ ! -e "$MUSTER_MAILBOX/rejected/tasks-four.json.txt" ]; do sleep 0.05; done
    summary
    """
    agents = {"boss": manager(script), "spends": spending(1.0, 600)}
    async with town(tmp_path, agents, test_command="true", max_workers=2) as place:
        made = await manage(place, budget_usd=2.1)
        task = await place.until(made["id"])
        assert task["status"] == "failed", task["reason"]
        assert {w["status"] for w in task["workers"]} == {"failed"}
        whole = [await place.service.get_task(w["id"]) for w in task["workers"]]
        ended = [[agent["outcome"] for agent in w["agents"]] for w in whole]
        assert ended == [["budget"], ["budget"], []], "the third is not started any more"
        spent = f"{task['label']} and its workers have spent $2.00 of $2.10"
        assert spent in whole[0]["agents"][0]["reason"]
        assert f"not started: {spent}" in whole[2]["reason"]
        (agent,) = task["agents"]
        assert (agent["outcome"], agent["result"]["summary"]) == ("completed", "all of it")
        (refused,) = (await place.service.list_events(0, type="mailbox.refused"))["items"]
        assert spent in refused["payload"]["why"]


@pytest.mark.parametrize(
    ("own", "attempts"), [("", 2), pytest.param("budget_usd", 1, marks=pytest.mark.long)]
)
async def test_a_manager_is_stopped_when_all_is_spent_and_goes_on_with_what_only_wants_more(
    tmp_path, own, attempts
):
    script = 'spawn one "spend" spends; sleep 600'
    agents = {"boss": manager(script), "spends": spending(2.0, 600)}
    given = {own: 1.0} if own else {}
    async with town(tmp_path, agents, test_command="true", autonomy="confirm", **given) as place:
        made = await manage(place, **({} if own else {"budget_usd": 1.0}))
        assert made["budget_usd"] == 1.0, "if its project's, fixed for all of it"
        task = await place.until(made["id"])
        assert task["status"] == "waiting", task["reason"]
        (agent,) = task["agents"]
        assert agent["outcome"] == "budget"
        spent = f"{task['label']} and its workers have spent $2.00 of $1.00"
        assert spent in agent["reason"]
        assert f"muster task budget {task['label']} USD" in task["breakpoint"]["question"]
        (worker,) = task["workers"]
        assert (await place.until(worker["id"], "waiting"))["attempt"] == 1
        await place.service.change_task(made["id"], {"budget_usd": 50})
        task = await place.until(made["id"], "executing")
        assert task["attempt"] == 2
        worker = await place.until(worker["id"], "waiting", "executing")
        assert worker["attempt"] == attempts


@pytest.mark.long
async def test_a_budget_leads_nobody_around_the_approval_of_a_role(tmp_path):
    rules = "rules:\n- name: dear\n  when: {outcome: [budget]}\n  do: {approve: lead}\n"
    agents = {
        "boss": manager('spawn one "spend" spends; sleep 600'),
        "spends": spending(2.0, 600),
    }
    given = {"files": {**CALC, ".muster/breakpoints.yaml": rules}, "autonomy": "confirm"}
    async with town(tmp_path, agents, test_command="true", **given) as place:
        made = await manage(place, budget_usd=1.0)
        task = await place.until(made["id"], "waiting")
        await place.until(task["workers"][0]["id"], "waiting")
        with pytest.raises(NeedsRole):
            await place.service.change_task(made["id"], {"budget_usd": 50}, Person("jo"))
        left = await place.service.get_task(made["id"])
        assert (left["budget_usd"], left["status"]) == (1.0, "waiting")
        await place.service.change_task(made["id"], {"budget_usd": 50}, FIRST_USER)
        assert (await place.until(made["id"], "executing"))["attempt"] == 2


@pytest.mark.long
async def test_a_budget_that_is_raised_counts_at_once(tmp_path):
    script = 'spawn one "spend" holds; ended one; spawn two "spend" ends; ended two; summary'
    agents = {
        "boss": manager(script), "holds": spending(1.0, 600), "ends": spending(1.0),
    }  # fmt: skip
    async with town(tmp_path, agents, test_command="true") as place:
        made = await manage(place, budget_usd=2.0)
        task = await until_workers(place, made["id"], ["executing"])
        raised = await place.service.change_task(made["label"], {"budget_usd": 20})
        assert raised["budget_usd"] == 20.0
        (told,) = (await place.service.list_events(0, type="task.changed"))["items"]
        assert told["payload"] == {"budget_usd": 20.0}
        while not (await place.service.get_task(task["workers"][0]["id"]))["cost_usd"]:
            await asyncio.sleep(0.05)
        await place.service.cancel_task(task["workers"][0]["id"])
        task = await place.until(made["id"])
        assert [w["status"] for w in task["workers"]] == ["cancelled", "completed"]
        assert sum(w["cost_usd"] for w in task["workers"]) == 2.0
