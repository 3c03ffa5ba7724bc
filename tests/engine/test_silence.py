"""A program that falls silent in its turn waits for its model's service: that is no try."""

from __future__ import annotations

import asyncio

import pytest

from agents.small_acp import acp_agent
from engine.houses import Town, town
from house.patience import PATIENCE
from muster.domain.agent import Outcome

AGENT = """
import signal
def gives_up(*_):
    end("prompt-1", "cancelled")
    sys.exit()
signal.signal(signal.SIGINT, gives_up)
def begin(session, asked):
    if BEGINS:
        say({"id": session, "result": {"sessionId": "s-1"}})
def turn(number, prompt):
    pass
"""


def silent(begins: bool) -> dict:
    """An own agent that says nothing once it has its prompt, or even before, until it is ended."""
    return acp_agent(AGENT, BEGINS=begins)


async def parked(place: Town, ref: str, patience: float = PATIENCE) -> dict:
    """The task as soon as it waits for a time."""
    async with asyncio.timeout(patience):
        while not (task := await place.service.get_task(ref))["due_at"]:
            assert task["status"] in {"queued", "executing", "monitoring"}, task["reason"]
            await place.service.wait_change(place.service.current_rev(), 0.2)
    return task


async def test_silence_in_a_turn_is_the_services_and_the_task_waits_without_a_try(tmp_path):
    async with town(tmp_path, {"hushes": silent(begins=True)}, test_command="true") as place:
        place.house.tools.idle_seconds = 1.0
        made = await place.submit("hushes", type="chore")
        task = await parked(place, made["id"])
        assert task["agents"][0]["outcome"] == Outcome.UNAVAILABLE
        assert "said nothing for 1 s and did nothing: its model's service" in task["reason"]
        assert task["tries"] == 0


@pytest.mark.long
async def test_silence_before_a_session_began_is_a_try(tmp_path):
    agents = {"hushes": silent(begins=False)}
    async with town(tmp_path, agents, test_command="true", max_attempts=1) as place:
        place.house.tools.idle_seconds = 1.0
        task = await place.do("hushes", type="chore")
        assert task["status"] == "failed"
        assert task["agents"][0]["outcome"] == Outcome.TIMEOUT
