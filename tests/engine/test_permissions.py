"""A program that asks for leave: rules and people answer it, once, through any restart."""

from __future__ import annotations

import asyncio
import json

import pytest

from agents.small_acp import acp_agent
from engine.houses import Town, shell, town
from house.patience import PATIENCE, until
from muster.domain.errors import Conflict
from muster.domain.person import Person
from muster.store import judgements, permissions
from muster.store.sqlite import open_store
from muster.wiring.house import House

AGENT = """
def turn(number, prompt):
    global asked
    asked = number
    ask({"toolCallId": "c", "kind": "execute", "rawInput": {"command": "make it"}})
    if QUIET:
        update(sessionUpdate="tool_call_update", toolCallId="c", status="failed")
def hear(message):
    with open("told.txt", "a") as file:
        file.write(json.dumps(message) + "\\n")
    if message.get("id") == 7 and ENDS:
        end(asked)
"""


def asking(*, ends: bool = True, quiet: bool = False, **more: object) -> dict:
    """An own agent that asks once, for a command; a quiet one has no tool at work meanwhile."""
    return {**acp_agent(AGENT, ENDS=ends, QUIET=quiet), **more}


def answers(place: Town) -> list[str]:
    """What the program was answered, of what it left on the branch."""
    told = map(json.loads, (place.repo / "told.txt").read_text().splitlines())
    return [m["result"]["outcome"]["optionId"] for m in told if m.get("id") == 7]


async def request_of(place: Town) -> dict:
    """The request that waits, once there is one."""
    async with asyncio.timeout(PATIENCE):
        while not (items := (await place.service.list_breakpoints())["items"]):
            await asyncio.sleep(0.05)
    (item,) = items
    return item


async def ruled(place: Town) -> list[dict]:
    page = await place.service.list_events(type="permission.ruled")
    return [event["payload"] for event in page["items"]]


async def test_a_person_is_asked_and_the_answer_reaches_the_program_once(tmp_path):
    agents = {"asks": asking()}
    async with town(tmp_path, agents, test_command="true", permissions="ask") as place:
        made = await place.submit("asks", type="chore")
        item = await request_of(place)
        assert (item["kind"], item["options"]) == ("permission", ["allow", "allow_session", "deny"])
        assert item["evidence"]["input"] == {"command": "make it"}
        assert "make it" in item["question"]
        await place.service.resolve_breakpoint(item["id"], "allow_session", by=Person("ada"))
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert answers(place) == ["allow_always"]


async def test_an_answer_outlives_restarts_before_and_after_it_is_given(tmp_path):
    agents = {"asks": asking()}
    async with town(tmp_path, agents, test_command="true", permissions="ask") as place:
        made = await place.submit("asks", type="chore")
        item = await request_of(place)
        await place.restart()
        assert (await request_of(place))["id"] == item["id"]
        # What a person was asked stays theirs, though a rule would answer it by now.
        rules = {"permission_rules": ["allow execute"]}
        await place.service.change_project("repo", {"settings": rules})
        await place.house.stop()
        await resolve_beside(place, item["id"], "deny", "not now")
        place.house = House(place.settings)
        await place.house.start()
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert answers(place) == ["reject_once"]
        events = (await place.service.list_events(type="breakpoint.resolved"))["items"]
        assert [e["payload"]["by"] for e in events] == ["ada"]


async def test_an_answer_that_was_said_is_not_said_again_after_a_restart(tmp_path):
    agents = {"asks": asking(ends=False)}
    async with town(tmp_path, agents, test_command="true", permissions="ask") as place:
        made = await place.submit("asks", type="chore")
        item = await request_of(place)
        await place.service.resolve_breakpoint(item["id"], "deny", "not now")
        (agent,) = (await place.service.active_agents())["items"]
        record = place.run_dir(agent["id"]) / "in"
        async with asyncio.timeout(PATIENCE):
            while b"reject_once" not in record.read_bytes():
                await asyncio.sleep(0.05)
        before = record.read_bytes()
        await place.restart()
        await asyncio.sleep(1.0)
        assert record.read_bytes() == before
        assert (await place.service.list_breakpoints())["items"] == []
        await place.service.cancel_task(made["id"])
        await place.until(made["id"])


@pytest.mark.parametrize(
    ("rules", "chosen", "by"),
    [
        (["allow execute(make*)"], "allow_once", "allow execute(make*)"),
        (["deny execute(*it)", "allow *"], "reject_once", "deny execute(*it)"),
        (["allow edit"], "reject_once", "permissions = rules"),
    ],
)
async def test_rules_answer_at_once_and_say_which(tmp_path, rules, chosen, by):
    agents = {"asks": asking()}
    given = {"permissions": "rules", "permission_rules": rules}
    async with town(tmp_path, agents, test_command="true", **given) as place:
        task = await place.do("asks", type="chore")
        assert task["status"] == "completed", task["reason"]
        assert answers(place) == [chosen]
        (event,) = await ruled(place)
        assert (event["by"], event["tool"]) == (by, "execute")
        assert (await place.service.list_breakpoints(open_only=False))["items"] == []


async def test_what_a_rule_decided_stays_decided_though_the_rules_changed(tmp_path):
    agents = {"asks": asking()}
    given = {"permissions": "rules", "permission_rules": ["deny execute"]}
    async with town(tmp_path, agents, test_command="true", **given) as place:
        store = place.house.tools.store
        keep, kept = store.write, asyncio.Event()

        async def write(verb, *args, **kwargs):
            done = await keep(verb, *args, **kwargs)
            if verb is permissions.rule:
                kept.set()
                await asyncio.sleep(60)  # killed between the decision and its saying
            return done

        store.write = write
        made = await place.submit("asks", type="chore")
        await asyncio.wait_for(kept.wait(), PATIENCE)
        await place.restart()
        rules = {"permission_rules": ["allow execute"]}
        await place.service.change_project("repo", {"settings": rules})
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert len(await ruled(place)) == 1
        assert answers(place) == ["reject_once"]


async def test_a_rule_can_put_it_to_a_person(tmp_path):
    agents = {"asks": asking()}
    given = {"permissions": "rules", "permission_rules": ["ask execute(make*)"]}
    async with town(tmp_path, agents, test_command="true", **given) as place:
        made = await place.submit("asks", type="chore")
        item = await request_of(place)
        await place.service.resolve_breakpoint(item["id"], "allow")
        await place.until(made["id"], "completed")
        assert answers(place) == ["allow_once"]


async def test_a_cancelled_run_closes_what_it_asked(tmp_path):
    agents = {"asks": asking()}
    async with town(tmp_path, agents, test_command="true", permissions="ask") as place:
        made = await place.submit("asks", type="chore")
        item = await request_of(place)
        await place.service.cancel_task(made["id"])
        await place.until(made["id"], "cancelled")
        closed = await place.service.get_breakpoint(item["id"])
        assert (closed["open"], closed["answer"], closed["by"]) == (False, "deny", None)
        with pytest.raises(Conflict):
            await place.service.resolve_breakpoint(item["id"], "allow")


async def test_waiting_for_a_person_is_neither_idle_nor_worked_time(tmp_path):
    agents = {"asks": asking(quiet=True, timeout_minutes=30)}
    async with town(tmp_path, agents, test_command="true", permissions="ask") as place:
        made = await place.submit("asks", type="chore")
        item = await request_of(place)
        place.pass_time(3600)
        place.house.tools.idle_seconds = 1.0
        clock, looks = place.house.tools.clock, [0]

        def looked_at() -> float:
            looks[0] += 1
            return clock()

        place.house.tools.clock = looked_at
        await until(lambda: looks[0] > 2)  # each look waits two seconds for news
        place.house.tools.idle_seconds = 120.0
        await place.service.resolve_breakpoint(item["id"], "allow")
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]


async def test_an_agent_that_cannot_ask_does_not_run_where_it_should(tmp_path):
    agents = {"mute": shell("touch done")}
    async with town(tmp_path, agents, test_command="true", permissions="ask") as place:
        task = await place.do("mute", type="chore")
        assert task["status"] == "failed"
        assert "cannot be made to ask" in task["reason"]


async def test_an_own_agent_can_be_spared_the_questions_of_its_project(tmp_path):
    agents = {"mute": shell("touch done", permissions="bypass")}
    async with town(tmp_path, agents, test_command="true", permissions="ask") as place:
        assert (await place.do("mute", type="chore"))["status"] == "completed"


async def test_an_untrusted_repository_cannot_say_what_is_allowed(tmp_path):
    own = (
        'permissions = "bypass"\npermission_rules = ["allow *"]\n'
        'autonomy = "full"\nmax_attempts = 9\n'
    )
    files = {".muster/config.toml": own, "a.txt": "a"}
    async with town(tmp_path, {}, files, permissions="ask", autonomy="confirm") as place:
        shown = await place.service.get_project("repo")
        assert shown["sources"]["max_attempts"] == "project"
        assert shown["settings"]["autonomy"] == "confirm"
        assert shown["settings"]["permissions"] == "ask"
        assert shown["settings"]["permission_rules"] is None


async def resolve_beside(place: Town, question: str, *answer: str) -> None:
    """Answer while no engine runs, as another server's door could."""
    store = open_store(place.settings.database_url, place.settings.home)
    item = await store.read(judgements.get_breakpoint, question)
    await store.write(judgements.answer_question, item, *answer, "ada")
    await store.close()
