"""A program that falls silent in its turn waits for its model's service: that is no try."""

from __future__ import annotations

import asyncio
import sys

import pytest

from engine.houses import Town, town
from house.patience import PATIENCE
from muster.domain.agent import Outcome

AGENT = """
import json, signal, sys
def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
    sys.stdout.flush()
def gives_up(*_):
    say({"id": "prompt-1", "result": {"stopReason": "cancelled"}})
    sys.exit()
signal.signal(signal.SIGINT, gives_up)
for line in sys.stdin:
    message = json.loads(line)
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        say({"id": number, "result": {"protocolVersion": 1}})
    elif method == "session/new" and BEGINS:
        say({"id": number, "result": {"sessionId": "s-1"}})
"""


def silent(begins: bool) -> dict:
    """An own agent that says nothing once it has its prompt, or even before, until it is ended."""
    script = AGENT.replace("BEGINS", str(begins))
    return {"driver": "acp", "command": [sys.executable, "-c", script]}


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
