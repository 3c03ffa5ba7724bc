"""A two-way program at work under the engine: it is answered, ended, and kept through a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agents.small_acp import acp_agent
from engine.houses import Town, marked, spending, town
from house.patience import PATIENCE, until
from muster.wiring.house import House

AGENT = """
def hear(message):
    with open("told.txt", "a") as file:
        file.write(f"{message.get('method')}\\n")
def turn(number, prompt):
    pathlib.Path("begun").touch()
    while not pathlib.Path(GO).exists():
        time.sleep(0.02)
    end(number, STOP)
def rest():
    time.sleep(LINGERS)
"""


def speaking(stop: str = "end_turn", *, go: str = "/", lingers: bool = False) -> dict:
    """An own agent that speaks ACP; its turn lasts until the file `go` is there."""
    return acp_agent(AGENT, STOP=stop, GO=go, LINGERS=300 * lingers)


async def test_it_is_told_its_task_and_ends_when_its_turn_is_over(tmp_path):
    async with town(tmp_path, {"speaks": speaking()}, test_command="true") as place:
        task = await place.do("speaks", type="chore")
        assert task["status"] == "completed", task["reason"]
        (agent,) = task["agents"]
        assert (agent["outcome"], agent["session_id"]) == ("completed", "s-1")
        said = (place.repo / "told.txt").read_text().split()
        assert said == ["initialize", "session/new", "session/prompt"]
        assert b"session/prompt" in (place.run_dir(agent["id"]) / "in").read_bytes()


async def test_a_turn_that_failed_is_no_success_though_the_program_ends_with_0(tmp_path):
    agents = {"refuses": speaking("refusal")}
    async with town(tmp_path, agents, test_command="true", max_attempts=1) as place:
        task = await place.do("refuses", type="chore")
        assert task["status"] == "failed"
        assert task["agents"][0]["outcome"] != "completed"


async def test_a_program_that_does_not_end_by_itself_is_ended(tmp_path):
    agents = {"lingers": speaking(lingers=True)}
    async with town(tmp_path, agents, test_command="true") as place:
        task = await place.do("lingers", type="chore")
        assert task["status"] == "completed", task["reason"]


MORE_THAN_IS_KEPT = 1_100_000
DEAF = """
def turn(number, prompt):
    for n in range(6000):
        say({"id": n, "method": "fs/" + "x" * 200, "params": {}})
    pathlib.Path("deaf").touch()
    time.sleep(300)
"""


@asynccontextmanager
async def told_more_than_it_takes(root: Path, idle: float) -> AsyncIterator[tuple[Town, str]]:
    """A program that asks much and reads nothing, and its task, once muster waits for it."""
    async with town(root, {"deaf": acp_agent(DEAF)}, test_command="true", max_attempts=1) as place:
        place.house.tools.idle_seconds = idle
        made = await place.submit("deaf", type="chore")
        spaces, runs = place.home / "workspaces" / "spaces", place.settings.runs
        await until(lambda: list(spaces.glob("*/tree/deaf")))
        await until(lambda: sum(p.stat().st_size for p in runs.glob("*/in")) > MORE_THAN_IS_KEPT)
        yield place, made["id"]


async def test_a_program_that_hears_nothing_is_cancelled_all_the_same(tmp_path):
    async with told_more_than_it_takes(tmp_path, 120.0) as (place, made):
        await place.service.cancel_task(made)
        task = await place.until(made, "cancelled")
        assert task["agents"][0]["outcome"] == "cancelled"
        await until(lambda: not marked(place.home))


@pytest.mark.long
async def test_a_program_that_hears_nothing_is_ended(tmp_path):
    async with told_more_than_it_takes(tmp_path, 5.0) as (place, made):
        task = await place.until(made, "failed")
        (agent,) = task["agents"]
        assert (agent["outcome"], agent["reason"]) == (
            "timeout", "took nothing in of what it was told",
        )  # fmt: skip


async def test_a_conversation_goes_on_after_a_restart_and_nothing_is_said_twice(tmp_path):
    go = tmp_path / "go"
    async with town(tmp_path, {"speaks": speaking(go=str(go))}, test_command="true") as place:
        made = await place.submit("speaks", type="chore")
        spaces = place.home / "workspaces" / "spaces"
        async with asyncio.timeout(PATIENCE):
            while not list(spaces.glob("*/tree/begun")):
                await asyncio.sleep(0.05)
        await place.restart()
        go.touch()
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert task["attempt"] == 1
        said = (place.repo / "told.txt").read_text().split()
        assert said == ["initialize", "session/new", "session/prompt"]


@pytest.mark.long
async def test_a_program_that_was_done_while_nobody_listened_is_not_late(tmp_path):
    go = tmp_path / "go"
    agents = {"speaks": {**speaking(go=str(go)), "timeout_minutes": 0.2}}
    async with town(tmp_path, agents, test_command="true", max_attempts=1) as place:
        made = await place.submit("speaks", type="chore")
        spaces = place.home / "workspaces" / "spaces"
        async with asyncio.timeout(PATIENCE):
            while not list(spaces.glob("*/tree/begun")):
                await asyncio.sleep(0.05)
        (agent,) = (await place.service.active_agents())["items"]
        await place.house.stop()
        go.touch()
        async with asyncio.timeout(PATIENCE):
            while not (place.run_dir(agent["id"]) / "exit.json").exists():
                await asyncio.sleep(0.1)
        place.house = House(place.settings)
        await place.house.start()
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert task["agents"][0]["outcome"] == "completed"


@pytest.mark.parametrize("pause", [300, 0], ids=["in the middle", "at its end"])
async def test_a_run_that_spent_more_than_its_budget_is_stopped(tmp_path, pause):
    async with town(
        tmp_path, {"spends": spending(2.0, pause)}, test_command="true", max_attempts=1
    ) as place:
        task = await place.do("spends", type="chore", budget_usd=1.5)
        (agent,) = task["agents"]
        assert agent["outcome"] == "budget", agent["reason"]
        assert "$2.00 of $1.50" in agent["reason"]
        assert f"muster task budget {task['label']} USD" in agent["reason"]
        fine = await place.do("spends", type="chore", budget_usd=2.5) if not pause else None
        assert fine is None or fine["agents"][0]["outcome"] == "completed"
