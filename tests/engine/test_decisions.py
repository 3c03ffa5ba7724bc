"""Decisions: who tries next, from which work on, why, and what other settings would have made."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter

import pytest

from engine.houses import shell, town
from muster.domain.errors import Invalid
from muster.store.moves import Fence, hold
from muster.store.tasks import get_task

BREAKS_ONE = "printf 'def add(a, b):\\n    return a - b\\n' > calc.py"
BREAKS_BOTH = "printf 'nothing = 1\\n' > calc.py"
MENDS = "printf 'def add(a, b):\\n    return a + b\\n\\n\\ntwo = 2\\n' > calc.py"
TWO_TESTS = {
    "test_calc.py": (
        "import calc\n\n\ndef test_add():\n    assert calc.add(1, 2) == 3\n\n\n"
        "def test_none():\n    assert calc.add(0, 0) == 0\n"
    )
}


async def test_work_that_made_it_worse_is_taken_back_before_the_next_attempt(tmp_path):
    seen = tmp_path / "seen"
    worse = shell(
        f'cp calc.py "{seen}.$MUSTER_ATTEMPT"; cp "$MUSTER_PROMPT_FILE" "{seen}.prompt";'
        f" case $MUSTER_ATTEMPT in 1) {BREAKS_ONE};; 2) {BREAKS_BOTH};; *) {MENDS};; esac"
    )
    files = {"calc.py": "def add(a, b):\n    return a + b\n", **TWO_TESTS}
    async with town(
        tmp_path, {"worse": worse}, files, test_command="python3 -m pytest -q", evidence="none"
    ) as place:
        task = await place.do("worse", type="chore")
        assert task["status"] == "completed"
        assert [d["step"] for d in task["decisions"]] == ["retry", "roll_back", "accept"]
        assert "a - b" in (tmp_path / "seen.3").read_text()
        assert "taken back" in (tmp_path / "seen.prompt").read_text()
        # What was taken back is a checkpoint, too: nothing is lost.
        points = {c["label"]: c["commit"] for c in task["checkpoints"]}
        assert points["attempt 2"] != points["attempt 1"] == points["before attempt 3"]


async def test_another_agent_goes_on_where_one_is_refused_again_and_again(tmp_path):
    agents = {"breaks": shell(BREAKS_ONE), "mends": shell(MENDS)}
    settings = {"fallback_agents": "nobody,breaks,mends", "agent": "breaks"}
    async with town(tmp_path, agents, **settings) as place:
        task = await place.do(None, type="chore")
        assert task["status"] == "completed"
        assert [d["step"] for d in task["decisions"]] == ["retry", "other_agent", "accept"]
        assert task["agent"] == "mends"
        decisions = (await place.service.decisions_of(task["label"]))["items"]
        assert [d["case"]["agent"] for d in decisions] == ["breaks", "breaks", "mends"]
        assert decisions[1]["agent"] == "mends"
        # The person's own choice stays.
        chosen = await place.do("breaks", type="chore")
        assert (chosen["status"], chosen["agent"]) == ("failed", "breaks")


async def test_every_decision_can_be_made_again_and_other_settings_be_tried_on_it(tmp_path):
    agents = {"breaks": shell(BREAKS_ONE), "mends": shell(MENDS)}
    async with town(tmp_path, agents) as place:
        good, bad = await place.do("mends", type="chore"), await place.do("breaks", type="chore")
        assert (good["status"], bad["status"]) == ("completed", "failed")
        same = await place.service.try_policy("repo", {})
        assert (same["decisions"], same["same"], same["changed"]) == (4, 4, 0)
        fewer = await place.service.try_policy("repo", {"max_attempts": "2"})
        assert (fewer["same"], fewer["changed"]) == (3, 1)
        (item,) = fewer["items"]
        assert (item["task"], item["attempt"]) == (bad["label"], 2)
        assert (item["was"]["step"], item["would_be"]["step"]) == ("retry", "give_up")
        asks = await place.service.try_policy("repo", {"autonomy": "confirm"})
        assert {i["would_be"]["step"] for i in asks["items"]} == {"ask"}
        with pytest.raises(Invalid, match="no decision depends on 'ports'"):
            await place.service.try_policy("repo", {"ports": 3})
        with pytest.raises(Invalid, match="max_attempts"):
            await place.service.try_policy("repo", {"max_attempts": "many"})
        # Nothing was changed by it.
        assert (await place.service.get_project("repo"))["settings"]["max_attempts"] == 3


async def test_a_decision_of_before_cases_were_kept_is_told_as_unknown(tmp_path):
    async with town(tmp_path, {"mends": shell(MENDS)}) as place:
        task = await place.do("mends", type="chore")

        def forget(tx):
            tx.conn.exec_driver_sql('update verdicts set "case" = null')

        await place.house.store.write(forget)
        (told,) = (await place.service.decisions_of(task["label"]))["items"]
        assert (told["case"], told["again"], told["step"]) == (None, None, "accept")
        trial = await place.service.try_policy("repo", {"max_attempts": 1})
        assert (trial["decisions"], trial["unknown"]) == (1, 1)


async def test_a_decision_that_would_be_another_one_now_is_told(tmp_path):
    async with town(tmp_path, {"mends": shell(MENDS)}) as place:
        task = await place.do("mends", type="chore")

        def falsify(tx):
            text = tx.conn.exec_driver_sql("select decision from verdicts").scalar_one()
            decision = json.dumps({**json.loads(text), "step": "retry"})
            tx.conn.exec_driver_sql("update verdicts set decision = ?", (decision,))

        await place.house.store.write(falsify)
        (told,) = (await place.service.decisions_of(task["label"]))["items"]
        assert (told["step"], told["again"]["step"]) == ("retry", "accept")
        assert (await place.service.try_policy("repo", {}))["changed"] == 1


MIXED = """
import os, random, sys
rng = random.Random(os.environ["MUSTER_TASK"] + os.environ["MUSTER_ATTEMPT"])
kind = rng.randrange(6)
if kind == 0:
    sys.exit(1)
add = "a - b" if kind == 1 else "a + b"
name = "calc.py" if kind < 5 else "notes.txt"
text = "nothing = 1" if kind == 2 else f"def add(a, b):\\n    return {add}\\n"
lines = text if name == "calc.py" else "a note\\n"
with open(name, "w") as file:
    file.write(lines + f"# {rng.random()}\\n" * (kind != 3))
"""


@pytest.mark.timeout(3000)
async def test_every_decision_of_a_long_mixed_history_is_the_same_when_it_is_made_again(tmp_path):
    """500 tasks in the long form: refused, taken back, passed on, given up, asked about."""
    tasks = 500 if os.environ.get("MUSTER_LONG", "") not in {"", "0"} else 9
    agents = {
        name: {"driver": "command", "command": [sys.executable, "-c", MIXED]}
        for name in ("first", "second")
    }
    check = "python3 -c 'import calc; assert calc.add(1, 2) == 3'"
    settings = {"agent": "first", "fallback_agents": "second", "test_command": check}
    async with town(tmp_path, agents, **settings) as place:
        made = [
            await place.submit(
                "second" if n % 5 == 0 else None, f"task {n}", type="chore",
                autonomy=("full", "confirm", "full")[n % 3],
            )
            for n in range(tasks)
        ]  # fmt: skip
        for task in made:
            await place.until(task["id"])
        trial = await place.service.try_policy("repo", {})
        assert trial["decisions"] >= tasks
        assert (trial["same"], trial["changed"], trial["unknown"]) == (trial["decisions"], 0, 0)
        counts: Counter[str] = Counter()
        for task in made:
            decisions = (await place.service.decisions_of(task["label"]))["items"]
            counts.update(decision["step"] for decision in decisions)
        assert {"accept", "retry", "ask"} <= set(counts), counts


async def test_what_was_cut_of_a_prompt_is_an_event(tmp_path):
    loud = shell("printf 'def add(a, b):\\n    return a - b\\n' > calc.py")
    noise = "python3 -c \"import calc; print('y' * 60_000); assert calc.add(1, 2) == 3\""
    async with town(tmp_path, {"loud": loud}, test_command=noise, max_attempts=2) as place:
        task = await place.do("loud", type="chore")
        assert (await place.service.list_events(type="prompt.cut"))["items"] == []
        many = {"failing": [f"tests.test_a::test_{n:05}" for n in range(5000)]}

        def keep(tx):
            hold(tx, Fence.of(get_task(tx, task["id"])), {"feedback": many})

        await place.house.store.write(keep)
        await place.service.retry_task(task["id"])
        await place.until(task["id"])
        (event,) = (await place.service.list_events(type="prompt.cut"))["items"]
        assert event["payload"]["parts"] == ["failing tests"]
        assert event["payload"]["left_out"]["failing tests"] > 10_000
