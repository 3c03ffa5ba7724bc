"""What a plan, a split or a manager makes is judged by acceptance tests like any other task."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.houses import Town, shell, town
from engine.managing import START, manage
from engine.planned import impatient, plan, planning_town, says, task, wish
from engine.test_acceptance import BASKET, DOES, RUNS, WRITES, codes, files, finding, prompt

OFF = (
    "import basket\n\n\ndef test_{name}():\n    # MARKED-{name}\n"
    "    assert basket.off([{sum}], 10) == {off}\n"
)
WRITES_NEXT = files(
    tests__test_low=OFF.format(name="low", sum=50, off=5),
    tests__test_high=OFF.format(name="high", sum=900, off=90),
)
OWN = "from basket import off\n\n\ndef test_mine():\n    assert off([100], 10) == 10\n"
DOES_NEXT = (
    'if [ "$MUSTER_ATTEMPT" = 1 ]; then says=10; else git checkout -q .;'
    " says='total(prices) - net(prices, percent)'; fi\n"
    "printf '\\n\\ndef off(prices, percent):\\n    return %s\\n' \"$says\" >> basket.py\n"
    + files(tests__test_mine=OWN)
)
"""The second task calls what the first has made; its first attempt knows one answer only."""
NEXT = "basket.off(prices, percent) is what net takes off"
EITHER = f'if grep -q "{NEXT}" "$MUSTER_PROMPT_FILE"; then grep -q "def net" basket.py || exit 3\n'
JUDGED: dict[str, Any] = {"acceptance_tests": "on", "test_command": RUNS, "evidence": "none"}
AGENTS: dict[str, Any] = {
    "writer": shell(f"{EITHER}{WRITES_NEXT}\nelse\n{WRITES}\nfi"),
    "work": shell(f"{EITHER}{DOES_NEXT}\nelse\n{DOES}\nfi"),
}
TWO = plan(
    task("off", "net", type="feature", description=NEXT, checks=["a tenth of 900 is 90"], files=[]),
    task("net", type="feature", description="basket.net(prices, percent)", files=[]),
)


def judging_town(root: Any, **project: Any) -> Any:
    """A town with a model that plans, where features are judged by acceptance tests."""
    given = {**JUDGED, "agent": "work", **project}
    return planning_town(
        root, agents={name: {**own} for name, own in AGENTS.items()}, files=BASKET, **given
    )


async def both(place: Town, found: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """The tasks of a plan in full, and those that write their tests."""
    team = [await place.service.get_task(each["id"]) for each in found["workers"]]
    authors = [await place.service.get_task(each["id"]) for each in found["authors"]]
    return team, authors


@pytest.mark.long
async def test_each_planned_task_is_judged_by_tests_that_were_written_where_it_begins(tmp_path):
    async with judging_town(tmp_path) as (made, server, _):
        server.then(says(TWO))
        found = await made.until((await wish(made))["id"])
        (net, off), (for_net, for_off) = await both(made, found)
        assert [each["errand"] for each in (net, off)] == ["net", "off"]
        assert [each["status"] for each in (net, off, for_net, for_off)] == ["proposed"] * 4
        assert (for_net["needs"], net["needs"]) == ([], [for_net["id"]])
        assert for_off["needs"] == [net["id"]]
        assert set(off["needs"]) == {net["id"], for_off["id"]}
        assert set(found["needs"]) == {net["id"], off["id"]}
        question = found["breakpoint"]["question"]
        assert f"tests are written first for {net['label']}, {off['label']}." in question
        # A server that goes between plan and go leaves as many as there were.
        await made.restart()
        impatient(made, made.settings.project_defaults["supervisor"])
        await made.service.approve_task(found["id"])
        for each in (net, off):
            waits = await made.until(each["id"], "waiting")
            assert waits["breakpoint"]["kind"] == "merge", waits["reason"]
            assert "acceptance.passed" in codes(waits)
            await made.service.merge_task(each["id"])
        ended = await made.until(found["id"], "completed")
        (net, off), (for_net, for_off) = await both(made, ended)
        told = {name: prompt(made, of, 1) for name, of in (("author", for_off), ("coder", off))}
    assert [each["attempt"] for each in (for_net, for_off, off)] == [1, 1, 2]
    assert for_off["base_commit"] == net["merged_commit"]
    assert net["finished_at"] <= for_off["started_at"] <= for_off["finished_at"]
    assert for_off["finished_at"] <= off["started_at"]
    assert finding(off, "acceptance.failed", 0)["severity"] == "veto"
    assert finding(off, "acceptance.failed", 0)["evidence"]["hidden_failed"] == 1
    assert "- a tenth of 900 is 90" in told["author"]
    assert [name in told["coder"] for name in ("MARKED-low", "MARKED-high")].count(True) == 1


async def test_none_are_written_where_type_or_person_say_so(tmp_path):
    three = plan(task("b", type="feature"), task("c"), task("d", type="documentation"))
    async with judging_town(tmp_path) as (made, server, _):
        server.then(says(three))
        found = await made.until((await wish(made))["id"])
        assert [bool(each["acceptance_id"]) for each in found["workers"]] == [True, False, False]
        assert (len(found["authors"]), found["acceptance"]) == (1, None)
        await made.service.cancel_task(found["id"])
        _, (author,) = await both(made, await made.service.get_task(found["id"]))
        assert author["status"] == "cancelled"
        # Who plans it anew has not forgotten what was said to it.
        server.then(says(three), says(three))
        left = await made.until((await wish(made, acceptance=False))["id"])
        assert left["authors"] == []
        await made.service.change_project("repo", {"settings": {"acceptance_tests": "off"}})
        asked = await made.until((await wish(made, acceptance=True))["id"])
        assert len(asked["authors"]) == 1


async def test_a_writer_that_was_dropped_alone_is_started_again_with_its_coder(tmp_path):
    async with judging_town(tmp_path) as (made, server, _):
        made.settings.agents["writer"].update(shell("exec sleep 600"))
        server.then(says(TWO))
        found = await made.until((await wish(made))["id"])
        _, (for_net, _) = await both(made, found)
        await made.service.cancel_task(for_net["id"])
        await made.service.approve_task(found["id"])
        await made.until(for_net["id"], "executing")
        (net, off), (_, for_off) = await both(made, found)
        assert [each["status"] for each in (net, off, for_off)] == ["blocked"] * 3
        # One that ends takes those after it along, with their tests; a retry brings both back.
        await made.service.cancel_task(net["id"])
        (net, off), (_, for_off) = await both(made, found)
        assert (net["status"], off["status"], for_off["status"]) == (
            "cancelled", "failed", "cancelled",
        )  # fmt: skip
        await made.until(for_net["id"], "cancelled")
        await made.service.retry_task(net["id"])
        await made.service.retry_task(off["id"])
        (net, off), (_, for_off) = await both(made, found)
        assert (off["status"], for_off["status"]) == ("blocked", "blocked")
        assert for_off["id"] in off["needs"]
        await made.service.cancel_task(net["id"])
        await made.until(for_net["id"], "cancelled")


@pytest.mark.parametrize("word", [None, False])
async def test_the_parts_of_a_split_task_are_judged_so_too(tmp_path, word):
    kind = {"type": "refactor"} if word is None else {"type": "feature", "acceptance": False}
    async with judging_town(tmp_path, split_after=1) as (made, server, _):
        made.settings.agents["work"].update(shell("echo 'assert False' > tests/test_basket.py"))
        server.then(says(TWO))
        found = await made.until((await made.submit(None, "a big thing", **kind))["id"])
        assert (found["status"], len(found["workers"])) == ("proposed", 2), found["reason"]
        team, authors = await both(made, found)
        assert [each["acceptance_id"] for each in team] == (
            [each["id"] for each in authors] if word is None else [None, None]
        )


SPAWNS = f"""{START}
put tasks/one.json '{json.dumps({"prompt": "basket.net(prices, percent)", "agent": "work"})}'
ended one; summary
"""


async def test_a_workers_tests_are_written_first_and_the_manager_hears_of_the_worker_only(tmp_path):
    agents = {**AGENTS, "boss": shell(SPAWNS)}
    async with town(tmp_path, agents, BASKET, **JUDGED) as place:
        task = await place.until((await manage(place))["id"])
        assert task["status"] == "completed", task["reason"]
        (one,), (author,) = await both(place, task)
        mailbox = place.run_dir(task["agents"][0]["id"]) / "agent" / "mailbox"
        told = {each.stem for each in (mailbox / "results").glob("*.json")}
        assert told == {"one", task["label"]}
    assert codes(task) == ["worker.completed"]
    assert "acceptance.passed" in codes(one)
    assert (author["id"], author["status"]) == (one["acceptance_id"], "completed")
    assert author["parent"]["label"] == task["label"]
