"""Conflicts between tasks at work: seen before either has ended, told once, waited for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agents.small_acp import acp_agent
from engine.houses import Town, shell, town, waiting_for
from house.patience import PATIENCE

HEARS = """
def turn(number, prompt):
    pathlib.Path("calc.py").write_text("def add(a, b):\\n    return sum((a, b))\\n")
    pathlib.Path(BEGUN).touch()
    while not pathlib.Path(GO).exists():
        time.sleep(0.02)
    end(number)
"""
OTHERS = "printf 'def add(a, b):\\n    return b + a\\n' > calc.py"


def edits(root: Path, name: str, script: str = OTHERS) -> dict[str, Any]:
    """An own agent that edits, says that it has, and stays until it may end."""
    return shell(f"{script}; touch {root}/{name}-begun; {waiting_for(root / f'{name}-go')}")


async def begun(root: Path, *names: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not all((root / f"{name}-begun").exists() for name in names):
            await asyncio.sleep(0.02)


async def told(place: Town, kind: str, task: dict[str, Any], count: int = 1) -> list[Any]:
    """What a task was told, as soon as it is so much."""
    async with asyncio.timeout(PATIENCE):
        while True:
            seen = place.service.current_rev()
            found = (await place.service.list_events(type=kind, task=task["id"]))["items"]
            if len(found) >= count:
                return [event["payload"] for event in found]
            await place.service.wait_change(seen, 5)


async def test_two_agents_at_work_on_the_same_lines_are_told_once_and_of_the_end(tmp_path):
    hears = acp_agent(HEARS, BEGUN=str(tmp_path / "b-begun"), GO=str(tmp_path / "b-go"))
    agents = {"a": edits(tmp_path, "a"), "b": hears}
    async with town(tmp_path, agents, test_command="true") as place:
        a = await place.submit("a", type="chore", title="Swap \x1b[31mthem")
        b = await place.submit("b", type="chore")
        await begun(tmp_path, "a", "b")
        look = place.house.daemon.foresight.look
        await look(at_work=True)
        assert await told(place, "conflict.foreseen", a) == [
            {"with": b["label"], "paths": ["calc.py"]}
        ]
        assert await told(place, "conflict.foreseen", b) == [
            {"with": a["label"], "paths": ["calc.py"]}
        ]
        (word,) = await told(place, "agent.told", b)
        assert word["by"] == "muster"
        assert word["text"].startswith("MU-1 ('Swap them') has changed the same lines of calc.py.")
        (agent,) = (await place.service.get_task(a["id"]))["agents"]
        file = place.run_dir(agent["id"]) / "agent" / "mailbox" / "tasks" / "conflicts.json"
        (conflict,) = json.loads(file.read_text())["conflicts"]
        assert (conflict["with"], conflict["paths"]) == (b["label"], ["calc.py"])
        assert "yours is to be merged first" in conflict["do"]
        await quiet(place)
        assert len((await place.service.list_events(type="conflict.foreseen"))["items"]) == 2
        (tmp_path / "a-go").touch()
        assert (await place.until(a["id"]))["status"] == "completed"
        assert await told(place, "conflict.gone", b) == [{"with": a["label"]}]
        assert (await told(place, "conflict.foreseen", b, 2))[1]["with"] == "main"
        (tmp_path / "b-go").touch()
        assert (await place.until(b["id"]))["status"] == "waiting"


async def quiet(place: Town) -> None:
    """Look until nothing has changed since the last look, and git is not asked at all."""
    git = place.house.workspaces.git
    async with asyncio.timeout(PATIENCE):
        while True:
            before = git.started
            await place.house.daemon.foresight.look(at_work=True)
            if git.started == before:
                return
            await asyncio.sleep(0.1)


async def test_one_agent_alone_is_not_looked_at(tmp_path):
    async with town(tmp_path, {"a": edits(tmp_path, "a")}, test_command="true") as place:
        a = await place.submit("a", type="chore")
        await begun(tmp_path, "a")
        started = place.house.workspaces.git.started
        await place.house.daemon.foresight.look(at_work=True)
        assert place.house.workspaces.git.started == started
        (tmp_path / "a-go").touch()
        assert (await place.until(a["id"]))["status"] == "completed"


@pytest.mark.parametrize(
    ("autonomy", "priority", "waits"),
    [("full", 5, True), ("confirm", 5, True), ("full", 9, False)],
    ids=["until the other has ended", "until the other waits", "not the more urgent one"],
)
async def test_another_attempt_waits_for_the_other_task(tmp_path, autonomy, priority, waits):
    bad = "printf 'def add(a, b):\\n    return BAD\\n' > calc.py"
    agents = {"a": edits(tmp_path, "a"), "b": edits(tmp_path, "b", bad)}
    settings = {"test_command": "! grep -qr BAD .", "roll_back": False, "max_attempts": 2}
    async with town(tmp_path, agents, **settings) as place:
        a = await place.submit("a", type="chore", autonomy=autonomy)
        b = await place.submit("b", type="chore", priority=priority)
        await begun(tmp_path, "a", "b")
        await place.house.daemon.foresight.look(at_work=True)
        (tmp_path / "b-go").touch()
        if waits:
            assert await told(place, "task.held", b) == [{"for": a["label"], "paths": ["calc.py"]}]
            held = await place.service.get_task(b["id"])
            why = f"waits for {a['label']}, which changes the same lines of calc.py"
            assert (held["status"], held["attempt"], held["reason"]) == ("queued", 1, why)
            (tmp_path / "a-go").touch()
        ended = await place.until(b["id"], "waiting", "failed")
        assert ended["attempt"] == 2
        other = await place.service.get_task(a["id"])
        wanted = {"confirm": "waiting"}.get(autonomy, "completed" if waits else "executing")
        assert other["status"] == wanted, other["reason"]
        assert len((await place.service.list_events(type="task.held"))["items"]) == waits
        (tmp_path / "a-go").touch()
        await place.until(a["id"])
