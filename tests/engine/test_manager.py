"""A manager and its workers: spawned once, judged by themselves, and the wish judged by them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from engine.houses import git, town
from engine.managing import agents, manage, until_workers


def codes(task: dict[str, Any]) -> list[str]:
    return sorted(f["code"] for f in task["verdicts"][-1]["findings"])


TWO = """
spawn one "make one" makes
spawn two "make two" makes
ended one; ended two
summary
"""


async def test_its_workers_are_merged_and_its_wish_is_completed_by_their_verdicts(tmp_path):
    async with town(tmp_path, agents(TWO), test_command="true", max_concurrent=1) as place:
        made = await manage(place)
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert task["agents"][0]["role"] == "manager"
        assert task["agents"][0]["id"].startswith("manager-")
        assert [w["errand"] for w in task["workers"]] == ["one", "two"]
        assert {w["status"] for w in task["workers"]} == {"completed"}
        one = await place.service.get_task(task["workers"][0]["id"])
        assert (one["parent"]["label"], one["parent"]["status"]) == (task["label"], "completed")
        assert (one["workers"], task["parent"]) == ([], None)
        assert codes(task) == ["worker.completed", "worker.completed"]
        assert task["merged_commit"] is None
        files = git(place.repo, "ls-tree", "--name-only", "main").split()
        assert {f"made-{w['label']}.txt" for w in task["workers"]} < set(files)
        mailbox = place.run_dir(task["agents"][0]["id"]) / "agent" / "mailbox"
        told = json.loads((mailbox / "results" / "one.json").read_text())
        assert (told["status"], told["passed"]) == ("completed", True)
        assert told["merged_commit"] == task["workers"][0]["merged_commit"]


async def test_what_the_manager_changes_itself_is_not_taken(tmp_path):
    script = "echo x > own.txt; summary"
    async with town(tmp_path, agents(script), test_command="true") as place:
        before = place.main()
        task = await place.until((await manage(place))["id"])
        # Nor is the wish called done: no worker did anything for it.
        assert task["status"] == "waiting", task["reason"]
        assert codes(task) == ["manager.no_work"]
        assert place.main() == before


async def test_a_manager_that_does_not_sum_up_is_tried_again_and_then_given_up(tmp_path):
    async with town(tmp_path, agents("true"), test_command="true", max_attempts=2) as place:
        task = await place.until((await manage(place))["id"])
        assert (task["status"], task["attempt"]) == ("failed", 2)
        assert "manager.no_summary" in codes(task)


@pytest.mark.parametrize(("autonomy", "ends"), [("full", "failed"), ("confirm", "waiting")])
async def test_a_failed_worker_speaks_against_the_wish_whatever_the_manager_says(
    tmp_path, autonomy, ends
):
    script = 'spawn good "make it" makes; spawn bad "break it" fails; ended bad; summary'
    async with town(
        tmp_path, agents(script), test_command="true", max_attempts=1, autonomy=autonomy
    ) as place:
        made = await manage(place)
        async with asyncio.timeout(60):
            while (task := await place.service.get_task(made["id"]))["status"] != ends:
                for asked in (await place.service.list_breakpoints())["items"]:
                    if asked["task_label"] != made["label"]:
                        answer = "merge" if asked["kind"] == "merge" else "fail"
                        await place.service.resolve_breakpoint(asked["id"], answer)
                await asyncio.sleep(0.05)
        assert task["attempt"] == 1
        assert "worker.failed" in codes(task)
        assert "(bad) failed" in task["reason"]


async def test_its_end_waits_for_workers_that_are_open_when_it_sums_up(tmp_path):
    script = 'spawn one "hold" holds; put events/1.json \'{"type": "own.kind"}\'; summary'
    async with town(tmp_path, agents(script), test_command="true") as place:
        made = await manage(place)
        task = await place.until(made["id"], "monitoring")
        (worker,) = task["workers"]
        await place.until(worker["id"], "executing")
        await place.service.cancel_task(worker["id"])
        task = await place.until(made["id"])
        assert task["status"] == "waiting", task["reason"]
        assert codes(task) == ["manager.no_work", "worker.cancelled"]


async def test_to_cancel_a_manager_ends_its_open_workers_and_no_others(tmp_path):
    script = 'spawn one "hold" holds; spawn two "hold too" holds; sleep 600'
    async with town(tmp_path, agents(script), test_command="true", max_concurrent=2) as place:
        other = await place.submit("holds", type="chore")
        made = await manage(place)
        await until_workers(place, made["id"], ["executing", "queued"])
        await place.service.cancel_task(made["id"])
        task = await place.until(made["id"])
        assert task["status"] == "cancelled"
        for worker in task["workers"]:
            assert (await place.until(worker["id"]))["status"] == "cancelled"
        assert (await place.service.get_task(other["id"]))["status"] == "executing"


async def test_a_worker_is_spawned_once_though_the_server_is_another_one_meanwhile(tmp_path):
    go = 'while [ ! -e "$MUSTER_MAILBOX/go" ]; do sleep 0.05; done; summary'
    script = TWO.replace("summary", go)
    async with town(tmp_path, agents(script), test_command="true") as place:
        made = await manage(place)
        task = await until_workers(place, made["id"], ["completed", "completed"])
        await place.restart()
        mailbox = place.run_dir(task["agents"][0]["id"]) / "agent" / "mailbox"
        (mailbox / "go").touch()
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert (task["attempt"], len(task["workers"])) == (1, 2)
        assert len((await place.service.list_tasks())["items"]) == 3


async def test_the_same_name_for_another_errand_is_refused_and_told(tmp_path):
    script = """
    spawn one "make one" makes; ended one
    spawn one "make another" makes
    while [ ! -e "$MUSTER_MAILBOX/rejected/tasks-one.json.txt" ]; do sleep 0.05; done
    spawn ../up "leave" makes
    spawn self "be a manager" nobody
    while [ ! -e "$MUSTER_MAILBOX/rejected/tasks-self.json.txt" ]; do sleep 0.05; done
    summary
    """
    async with town(tmp_path, agents(script), test_command="true") as place:
        task = await place.until((await manage(place))["id"])
        assert task["status"] == "completed", task["reason"]
        assert len(task["workers"]) == 1
        refused = (await place.service.list_events(0, type="mailbox.refused"))["items"]
        whys = " ".join(event["payload"]["why"] for event in refused)
        assert "another errand" in whys
        assert "no agent 'nobody'" in whys
