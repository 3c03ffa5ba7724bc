"""The reviewer: questions before the work, answers that quote it after the tests are green."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.houses import shell, waiting_for
from engine.planned import impatient, planning_town, says

RUBRIC = {"questions": ["Does the file say hello?", "Is nothing else changed?"]}
HELLO = shell("echo hello > hello.txt")
ON: dict[str, Any] = {"review": "on"}


def answers(*quotes: str, **more: Any) -> dict[str, Any]:
    one = {"yes": True, "path": "hello.txt", "line": 1, **more}
    return {"answers": [{"n": n, "quote": quote, **one} for n, quote in enumerate(quotes, 1)]}


def reviews(found) -> list[dict[str, Any]]:
    return [
        finding
        for verdict in found["verdicts"]
        for finding in verdict["findings"]
        if finding["code"].startswith("review.")
    ]


async def do(made, **body: Any) -> Any:
    given = {"type": "chore", "description": "Say hello in hello.txt.", **body}
    return await made.do("work", **given)


async def test_questions_are_made_before_the_work_and_answered_after_it(tmp_path: Path):
    async with planning_town(tmp_path, **ON) as (made, server, _):
        made.settings.agents["work"].update(HELLO)
        server.then(says(RUBRIC), says(answers("hello", "not in the change")))
        found = await do(made)
        (finding,) = reviews(found)
        assert (finding["code"], finding["severity"]) == ("review.rubric", "note")
        assert finding["evidence"]["answers"] == [
            {"question": RUBRIC["questions"][0], "yes": True, "quote": "hello",
             "path": "hello.txt", "line": 1}
        ]  # fmt: skip
        assert finding["evidence"]["unknown"] == [RUBRIC["questions"][1]]
        assert found["rubric"]["questions"] == RUBRIC["questions"]
        before, after = (one["messages"][-1]["content"] for one in server.asked)
        assert "hello.txt" in before
        assert "1 + hello" not in before
        assert "===\nFile hello.txt\n     1 + hello\n===" in after


async def test_a_model_that_says_no_stops_nothing(tmp_path: Path):
    async with planning_town(tmp_path, autonomy="full", **ON) as (made, server, _):
        made.settings.agents["work"].update(HELLO)
        server.then(says(RUBRIC), says(answers("hello", "hello", yes=False)))
        found = await do(made)
        assert (found["status"], reviews(found)[0]["evidence"]["no"]) == ("completed", 2)


@pytest.mark.parametrize(
    "project", [{}, {"review": "on", "supervisor": "none"}], ids=["off", "no model"]
)
async def test_without_the_setting_or_a_model_nobody_is_asked(tmp_path: Path, project):
    async with planning_town(tmp_path, **project) as (made, server, _):
        found = await do(made)
        assert (found["status"], server.asked) == ("waiting", [])
        assert [finding["code"] for finding in reviews(found)] == (
            ["review.unknown"] if project else []
        )


async def test_red_work_is_not_read(tmp_path: Path):
    async with planning_town(tmp_path, test_command="false", max_attempts=1, **ON) as at:
        made, server, _ = at
        server.then(says(RUBRIC))
        found = await do(made)
        assert (len(server.asked), reviews(found)) == (1, [])


FAULTS = {
    "refused at the rubric": [{"status": 401}],
    "away at the rubric": [{"status": 500}] * 4,
    "refused at the review": [says(RUBRIC), {"status": 401}],
    "unusable at the review": [says(RUBRIC), *[{"text": "Looks good to me!"}] * 3],
    "cut at the review": [says(RUBRIC), *[{**says(answers("hello", "x")), "cut": True}] * 4],
    "slow at the rubric": [{"hang": True}] * 4,
}


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(steps, id=name, marks=() if "401" in str(steps) else pytest.mark.long)
        for name, steps in FAULTS.items()
    ],
)
async def test_a_model_that_does_not_answer_is_told_and_holds_nothing_up(tmp_path: Path, steps):
    async with planning_town(tmp_path, autonomy="full", **ON) as (made, server, _):
        made.settings.agents["work"].update(HELLO)
        server.then(*steps)
        named = made.settings.project_defaults["supervisor"]
        impatient(made, named, 0.2 if "hang" in steps[0] else 30.0)
        found = await do(made)
        (finding,) = reviews(found)
        assert (found["status"], finding["code"]) == ("completed", "review.unknown")
        assert finding["evidence"]["why"]


async def test_a_model_that_is_away_in_the_middle_of_a_task_is_told_and_reads_when_it_is_back(
    tmp_path: Path,
):
    go = tmp_path / "go"
    async with planning_town(tmp_path, **ON) as (made, server, _):
        made.settings.agents["work"].update(shell(f"{waiting_for(go)} echo hello > hello.txt"))
        server.then(says(RUBRIC))
        task = await made.submit("work", "Say hello in hello.txt.", type="chore")
        while not (await made.service.get_task(task["id"]))["rubric"]:
            await made.service.wait_change(made.service.current_rev(), 0.05)
        server.go()
        made.pass_time(600)
        go.touch()
        found = await made.until(task["id"])
        assert (found["status"], found["breakpoint"]["kind"]) == ("waiting", "merge")
        assert [finding["code"] for finding in reviews(found)] == ["review.unknown"]
        server.come()
        server.then(says(answers("hello", "hello")))
        await made.service.resolve_breakpoint(found["breakpoint"]["id"], "retry")
        again = await made.until(task["id"])
        codes = [finding["code"] for finding in reviews(again)]
        assert codes == ["review.unknown", "review.rubric"], reviews(again)[-1]
        assert len(server.asked) == 2


async def test_several_votes_are_several_readings(tmp_path: Path):
    async with planning_town(tmp_path, review_votes=3, **ON) as (made, server, _):
        made.settings.agents["work"].update(HELLO)
        good, bad = answers("hello", "hello"), answers("hello", "hello", yes=False)
        server.then(says(RUBRIC), says(bad), says(good), says(good))
        (finding,) = reviews(await do(made))
        assert (finding["evidence"]["yes"], finding["evidence"]["votes"]) == (2, 3)


async def test_who_starts_anew_asks_for_nothing_that_was_said(tmp_path: Path):
    async with planning_town(tmp_path, review_votes=2, **ON) as (made, server, _):
        made.settings.agents["work"].update(HELLO)
        server.then(says(RUBRIC), says(answers("hello", "hello")), {"hang": True})
        task = await made.submit("work", "Say hello in hello.txt.", type="chore")
        while len(server.asked) < 3:
            await made.service.wait_change(made.service.current_rev(), 0.05)
        server.then(says(answers("hello", "hello")))
        await made.restart()
        impatient(made, made.settings.project_defaults["supervisor"])
        (finding,) = reviews(await made.until(task["id"]))
        assert (finding["evidence"]["votes"], len(server.asked)) == (2, 4)
        assert "Reading 2 of 2" in json.dumps(server.asked[-1])
