"""A repository's own prompts: a stranger's, which count as they were trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.houses import CALC, Town, commit, shell, town
from muster.domain.errors import Invalid

NAME = ".muster/prompts/coding.judged.j2"
GROWS = shell('echo "$MUSTER_TASK" > "$MUSTER_TASK.txt"')


async def told(place: Town) -> str:
    """The prompt that a new task's agent was given."""
    task = await place.do("grows", type="chore")
    assert task["status"] == "completed", task["reason"]
    agent = place.run_dir(task["agents"][0]["id"]) / "agent"
    return Path(agent / "prompt.md").read_text()


async def untrusted(place: Town) -> list[dict[str, Any]]:
    found = (await place.service.list_events(0, type="settings.untrusted"))["items"]
    return [event["payload"] for event in found]


async def test_a_repositorys_own_prompts_count_as_they_were_trusted(tmp_path):
    files = {**CALC, NAME: "Judged by {{ settings.test_command }} at sea."}
    async with town(tmp_path, {"grows": GROWS}, files, test_command="true") as place:
        await place.service.add_project({"path": str(place.repo), "trust": True})
        assert "Judged by true at sea." in await told(place)
        assert await untrusted(place) == []
        commit(place.repo, {NAME: "Judged by nobody."})
        assert "Judged by true at sea." in await told(place)
        assert [said["settings"] for said in await untrusted(place)] == [["prompts"]]
        # One that cannot be used is told, not passed over; the home's own need no trust.
        commit(place.repo, {NAME: "a\n{{ task.title | shout }}"})
        with pytest.raises(
            Invalid, match=r"prompts/coding\.judged\.j2, line 2: .*no filter 'shout'"
        ):
            await place.service.add_project({"path": str(place.repo), "trust": True})
        (place.home / "prompts").mkdir()
        (place.home / "prompts" / "coding.reach.j2").write_text("{{ range(9) }}")
        made = await place.submit("grows", type="chore")
        asked = await place.until(made["id"], "waiting", "failed")
        assert "coding.reach.j2, line 1: a template may not use 'call'" in asked["reason"]
