"""A task that is refused again and again is planned into smaller ones, with what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.houses import shell, town
from engine.planned import plan, planning_town, says, task
from muster.domain.errors import Conflict

TOO_MUCH = shell(
    'if grep -q "one task of the plan" "$MUSTER_PROMPT_FILE"; then echo > "$MUSTER_TASK.txt";'
    ' else echo "$MUSTER_ATTEMPT" > much.txt; fi'
)
"""An agent that can do parts, and leaves what the tests refuse of everything else."""
SETTINGS: dict[str, Any] = {
    "autonomy": "full", "test_command": "test ! -e much.txt", "split_after": 2, "evidence": "none",
}  # fmt: skip


def splitting_town(root: Path, **project: Any):
    return planning_town(root, **{**SETTINGS, **project})


def steps(found: Any) -> list[str]:
    return [decision["step"] for decision in found["decisions"]]


async def test_it_is_split_by_the_model_with_the_evidence_and_ends_with_its_parts(tmp_path: Path):
    async with splitting_town(tmp_path) as (made, server, _):
        made.settings.agents["work"].update(TOO_MUCH)
        server.then(says(plan(task("a"))), says(plan()))
        whole = await made.submit(None, "a big thing", type="chore")
        after = await made.submit("other", "after it", type="chore", after=[whole["label"]])
        found = await made.until(whole["id"])
        assert (found["status"], found["playbook"], steps(found)) == (
            "completed", "plan", ["retry", "split"],
        )  # fmt: skip
        assert [(c["errand"], c["status"]) for c in found["workers"]] == [
            ("a-3", "completed"), ("b-3", "completed"),
        ]  # fmt: skip
        first, second = found["workers"]
        assert second["needs"] == [first["id"]]
        last = await made.until(after["id"])
        assert last["status"] == "completed", last["reason"]
        assert not (made.repo / "much.txt").exists()
        # The model was told what was refused; one part is no split, and was sent back.
        asked = json.dumps(server.asked[0])
        assert "the work was refused 2 times" in asked
        assert asked.count(", by work:") == 2
        assert "split it into at least 2" in json.dumps(server.asked[1])
        # The decision can be made again, and other settings be tried on it.
        trial = await made.service.try_policy("repo", {})
        assert (trial["changed"], trial["unknown"]) == (0, 0)
        (item,) = (await made.service.try_policy("repo", {"split_after": "0"}))["items"]
        assert (item["was"]["step"], item["would_be"]["step"]) == ("split", "retry")


async def test_where_a_person_says_go_the_parts_wait_and_the_work_before_can_be_forked(
    tmp_path: Path,
):
    async with splitting_town(tmp_path, autonomy="confirm", split_after=1) as (made, server, _):
        made.settings.agents["work"].update(TOO_MUCH)
        server.then(says(plan()))
        found = await made.until((await made.submit(None, "a big thing", type="chore"))["id"])
        assert (found["status"], steps(found)) == ("proposed", ["split"])
        assert "was refused once as one task" in found["breakpoint"]["question"]
        assert [c["status"] for c in found["workers"]] == ["proposed", "proposed"]
        (n,) = [c["n"] for c in found["checkpoints"] if c["label"] == "attempt 1"]
        with pytest.raises(Conflict, match="was split"):
            await made.service.restore_checkpoint(found["id"], n)
        fork, _ = await made.service.fork_task(found["id"], n, {})
        assert fork["playbook"] is None
        await made.service.cancel_task(fork["id"])
        await made.service.cancel_task(found["id"])
        found = await made.service.get_task(found["id"])
        assert {c["status"] for c in (found, *found["workers"])} == {"cancelled"}


async def test_without_a_model_a_person_is_asked_and_nothing_is_made_up(tmp_path: Path):
    settings = {**SETTINGS, "max_attempts": 2}
    async with town(tmp_path, {"work": TOO_MUCH}, **settings) as made:
        found = await made.do(None, "a big thing", type="chore")
        asked = found["breakpoint"]
        assert (found["status"], asked["kind"], found["workers"]) == ("waiting", "problem", [])
        assert "refused 2 times as one task, and no model is there" in asked["question"]
        await made.service.resolve_breakpoint(asked["id"], "one_task")
        found = await made.until(found["id"], "failed", "completed")
        (part,) = found["workers"]
        assert part["description"] == "a big thing"


@pytest.mark.long
async def test_a_part_is_not_split_further_and_the_whole_fails_with_it(tmp_path: Path):
    async with splitting_town(tmp_path, split_after=1, max_attempts=2) as (made, server, _):
        made.settings.agents["work"].update(shell("echo > much.txt"))
        server.then(says(plan()))
        found = await made.until((await made.submit(None, "a big thing", type="chore"))["id"])
        assert found["status"] == "failed"
        part = await made.service.get_task(found["workers"][0]["id"])
        assert steps(part) == ["retry", "give_up"]
        assert len(server.asked) == 1
