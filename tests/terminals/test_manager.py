"""A conversation with a manager on a real terminal, at a real server and a program that hears."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from agents.small_acp import acp_agent
from engine.houses import shell, town
from mcp_door.streets import TOKEN, Street
from terminals.windows import Window, opened

HEARS = """
box, task = os.environ["MUSTER_MAILBOX"], os.environ["MUSTER_TASK"]
def tell(text):
    update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": text})
def put(name, document):
    with open(f"{box}/{name}.part", "w") as file:
        json.dump(document, file)
    os.rename(f"{box}/{name}.part", f"{box}/{name}")
def turn(number, said):
    if "You were given no wish yet" in said:
        tell("I am ready.")
    elif said.startswith("That is all."):
        put(f"results/{task}.json", {"status": "completed", "output": "all of it"})
        tell("That was it.")
    elif said.startswith("have "):
        _, name, agent = said.split()
        put(f"tasks/{name}.json", {"prompt": "do it", "agent": agent, "type": "chore"})
        tell(f"I have {name} do it.")
    else:
        tell(f"I heard: {said}")
    end(number)
"""
AGENTS = {
    "boss": acp_agent(HEARS),
    "makes": shell("echo x > made-$MUSTER_TASK.txt"),
    "holds": shell("exec sleep 600"),
}


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with town(tmp_path, AGENTS, test_command="true") as place:
        made = Street(place, tmp_path)
        await made.open()
        yield made
        await made.close()


def visit(street: Street, *more: str) -> AbstractAsyncContextManager[Window]:
    line = [sys.executable, "-m", "muster", "--url", street.url, "--token", TOKEN, "--no-color"]
    return opened([*line, "manager", "--repo", str(street.place.repo), *more], columns=200)


async def test_a_person_speaks_with_a_manager_leaves_it_comes_back_and_has_it_end(
    street: Street,
) -> None:
    async with visit(street, "--agent", "boss", "--runtime", "process") as ann:
        await ann.sees("you speak with its manager")
        await ann.sees("manager  I am ready.")
        ann.type("hello\r")
        await ann.sees("manager  I heard: hello")
        ann.type("/nonsense now\r")
        await ann.sees("there is no /nonsense; /workers lists them")
        ann.type("/workers\r")
        await ann.sees("no workers yet")
        ann.type("have one makes\r")
        await ann.sees("manager  I have one do it.")
        await ann.sees("MU-2 (one)  ✓ completed")
        ann.seen = ""
        ann.type("/help\r/workers\r")
        await ann.sees("/done has it sum up")
        await ann.sees("MU-2 (one)  ✓ completed")
        ann.type("/quit\r")
        assert await ann.ends() == 0
        assert "left MU-1; its manager lives on" in ann.seen
    async with visit(street) as again:
        await again.sees("MU-2 (one)  ✓ completed")
        assert "manager  I heard: hello" in again.seen
        again.type("\x03")
        assert await again.ends() == 0
        assert "left MU-1" in again.seen
    async with visit(street) as last:
        await last.sees("MU-2 (one)")
        last.type("/done\r")
        assert await last.ends() == 0
        assert "manager  That was it." in last.seen
        assert "MU-1  ✓ completed" in last.seen
        assert "muster worker list --manager MU-1" in last.seen
    task = await street.place.service.get_task("MU-1")
    assert (task["status"], task["attempt"]) == ("completed", 1)
    assert task["agents"][0]["result"]["summary"] == "all of it"


async def test_a_program_that_hears_nothing_is_no_partner_and_the_way_on_is_shown(
    street: Street,
) -> None:
    how = ("--runtime", "process", "--autonomy", "confirm")
    async with visit(street, "--agent", "makes", *how) as ann:
        assert await ann.ends() == 7
        assert "hears nothing after it" in ann.seen
        (asked,) = (await street.place.service.list_breakpoints())["items"]
        assert f"muster breakpoint resolve {asked['id']} cancel" in ann.seen


async def test_a_manager_that_is_cancelled_in_its_conversation_ends_with_its_workers(
    street: Street,
) -> None:
    async with visit(street, "--agent", "boss", "--runtime", "process") as ann:
        await ann.sees("I am ready.")
        ann.type("have one holds\r")
        await ann.sees("MU-2 (one)  ◔ executing")
        ann.type("/cancel\r")
        assert await ann.ends() == 1
        assert "MU-1  – cancelled" in ann.seen
    service = street.place.service
    assert (await street.place.until("MU-2"))["status"] == "cancelled"
    assert (await service.active_agents())["items"] == []


async def test_one_that_is_to_sum_up_waits_for_its_workers_and_still_hears(street: Street) -> None:
    async with visit(street, "--agent", "boss", "--runtime", "process") as ann:
        await ann.sees("I am ready.")
        ann.type("have one holds\r")
        await ann.sees("MU-2 (one)  ◔ executing")
        ann.type("/done\r")
        await ann.sees("manager  That was it.")
        ann.type("/workers\r")
        ann.seen = ""
        await ann.sees("MU-2 (one)  ◔ executing")
        ann.type("/quit\r")
        assert await ann.ends() == 0
    async with visit(street, "--wait") as waits:
        await waits.sees("MU-1")
        await street.place.service.cancel_task("MU-2")
        assert await waits.ends() == 0
