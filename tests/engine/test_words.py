"""What a person tells an agent at work: said once, in order, or refused with what to do instead."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agents.small_acp import acp_agent
from engine.houses import Town, shell, town
from house.patience import PATIENCE
from muster.domain.errors import Conflict, Invalid
from muster.store import words

AGENT = """
def turn(number, prompt):
    with open("prompts.jsonl", "a") as file:
        file.write(json.dumps(prompt) + "\\n")
    go = pathlib.Path(GO)
    while not go.exists():
        time.sleep(0.02)
    if CRASHES and pathlib.Path("prompts.jsonl").read_text().count("\\n") == 1:
        go.unlink()
        sys.exit(3)
    end(number)
"""


def hearing(go: Path, *, crashes: bool = False) -> dict:
    """An own agent whose turns last until the file `go` is there; one `crashes` in its first."""
    return acp_agent(AGENT, GO=str(go), CRASHES=crashes)


async def at_work(place: Town, agent: str = "hears") -> tuple[str, str]:
    """A task and its agent, once that has its prompt."""
    made = await place.submit(agent, type="chore")
    async with asyncio.timeout(PATIENCE):
        while not list((place.home / "workspaces" / "spaces").glob("*/tree/prompts.jsonl")):
            await asyncio.sleep(0.02)
    (found,) = (await place.service.active_agents())["items"]
    return made["id"], found["id"]


def prompts(place: Town) -> list[str]:
    """What the program was told, the first prompt left out."""
    lines = (place.repo / "prompts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines][1:]


async def events(place: Town, kind: str) -> list[dict]:
    return [e["payload"] for e in (await place.service.list_events(type=kind))["items"]]


async def test_words_become_the_next_turns_in_their_order(tmp_path):
    go = tmp_path / "go"
    async with town(tmp_path, {"hears": hearing(go)}, test_command="true") as place:
        task, agent = await at_work(place)
        for word in ("Use decimals.", "And round."):
            done = await place.service.tell_agent(agent, {"text": word}, "ada", key=word)
            again = await place.service.tell_agent(agent, {"text": word}, "ada", key=word)
            assert again == done
        assert done["word"] == 2
        go.touch()
        ended = await place.until(task)
        assert ended["status"] == "completed", ended["reason"]
        assert prompts(place) == ["Use decimals.", "And round."]
        assert [e["by"] for e in await events(place, "agent.told")] == ["ada", "ada"]
        assert [e["n"] for e in await events(place, "agent.heard")] == [1, 2]


async def test_a_word_outlives_a_restart_before_it_is_said(tmp_path):
    go = tmp_path / "go"
    async with town(tmp_path, {"hears": hearing(go)}, test_command="true") as place:
        task, agent = await at_work(place)
        await place.service.tell_agent(agent, {"text": "Use decimals."})
        await place.restart()
        go.touch()
        await place.until(task, "completed")
        assert prompts(place) == ["Use decimals."]


async def test_a_word_that_was_said_is_not_said_again_though_nobody_noted_it(tmp_path):
    go = tmp_path / "go"
    async with town(tmp_path, {"hears": hearing(go)}, test_command="true") as place:
        task, agent = await at_work(place)
        store = place.house.tools.store
        write, said = store.write, asyncio.Event()

        async def dies(verb, *args, **kwargs):
            if verb is words.said:
                said.set()
                await asyncio.sleep(60)
            return await write(verb, *args, **kwargs)

        store.write = dies
        await place.service.tell_agent(agent, {"text": "Use decimals."})
        go.touch()
        await asyncio.wait_for(said.wait(), PATIENCE)
        await place.restart()
        await place.until(task, "completed")
        assert prompts(place) == ["Use decimals."]
        assert [e["n"] for e in await events(place, "agent.heard")] == [1]


async def test_a_word_that_comes_as_the_agent_ends_is_said_or_refused_never_lost(tmp_path):
    go = tmp_path / "go"
    async with town(tmp_path, {"hears": hearing(go)}, test_command="true") as place:
        task, agent = await at_work(place)
        store = place.house.tools.store
        write = store.write
        refused: list[str] = []

        async def slips_in(verb, *args, **kwargs):
            if verb is not words.stop_hearing:
                return await write(verb, *args, **kwargs)
            store.write = write
            await place.service.tell_agent(agent, {"text": "One more thing."})
            done = await write(verb, *args, **kwargs)
            store.write = closes
            return done

        async def closes(verb, *args, **kwargs):
            done = await write(verb, *args, **kwargs)
            if verb is words.stop_hearing and done:
                with pytest.raises(Conflict, match="hears no more") as error:
                    await place.service.tell_agent(agent, {"text": "Too late."})
                refused.append(error.value.hint)
            return done

        store.write = slips_in
        go.touch()
        await place.until(task, "completed")
        assert prompts(place) == ["One more thing."]
        assert "muster task retry MU-1 --note" in refused[0]


async def test_what_an_agent_did_not_hear_is_told_to_the_next_attempt(tmp_path):
    go = tmp_path / "go"
    agents = {"hears": hearing(go, crashes=True)}
    async with town(tmp_path, agents, test_command="true", max_attempts=2) as place:
        task, agent = await at_work(place)
        await place.service.tell_agent(agent, {"text": "Use decimals."})
        go.touch()
        async with asyncio.timeout(PATIENCE):
            while (await place.service.get_task(task))["attempt"] < 2:
                await asyncio.sleep(0.05)
        go.touch()
        ended = await place.until(task)
        assert ended["status"] == "completed", ended["reason"]
        assert prompts(place)[-1] == "Use decimals."
        assert prompts(place).count("Use decimals.") == 1


async def test_who_cannot_hear_is_not_told_and_it_is_said_what_to_do(tmp_path):
    go = tmp_path / "go"
    agents = {"hears": hearing(go), "mute": shell("touch begun; sleep 300")}
    async with town(tmp_path, agents, test_command="true") as place:
        task, agent = await at_work(place)
        with pytest.raises(Invalid, match="text"):
            await place.service.tell_agent(agent, {"text": "  "})
        with pytest.raises(Invalid, match="text"):
            await place.service.tell_agent(agent, {"text": "x" * 70_000})
        go.touch()
        await place.until(task, "completed")
        with pytest.raises(Conflict, match="has ended") as ended:
            await place.service.tell_agent(agent, {"text": "Hello?"})
        assert "muster task retry MU-1" in ended.value.hint

        mute = await place.submit("mute", type="chore")
        await place.until(mute["id"], "executing")
        async with asyncio.timeout(PATIENCE):
            while not (live := (await place.service.active_agents())["items"]):
                await asyncio.sleep(0.02)
        assert live[0]["hears"] is None
        with pytest.raises(Conflict, match="given its prompt") as deaf:
            await place.service.tell_agent(live[0]["id"], {"text": "Hello?"})
        assert "cancel the task" in deaf.value.hint
        await place.service.cancel_task(mute["id"])
        await place.until(mute["id"], "cancelled")
