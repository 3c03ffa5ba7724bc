"""`muster plan`: what is submitted, what of the plan is shown, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.client import canned
from tests.client.loopback import Answer, Loopback


def stands(server: Loopback, **changes: Any) -> None:
    """Let the plan stand so."""
    given: dict[str, Any] = {"playbook": "plan", "rev": 10, **changes}
    server.routes["POST", "/api/tasks"] = Answer(201, canned.task(status="queued", rev=1))
    server.routes["GET", "/api/tasks/tsk_1"] = Answer(body=canned.detail(**given))


@pytest.mark.parametrize("line", [["plan", "Two files."], ["do", "Two files.", "--plan"]])
def test_a_wish_goes_in_with_the_playbook_that_plans(
    line: list[str], run: Run, server: Loopback
) -> None:
    stands(server, status="proposed")
    more = ("--agent", "claude", "--budget", "3", "--no-acceptance")
    assert run(*line, "--project", "sample", *more).code == 0
    asked = next(one for one in server.asked if one.method == "POST")
    assert asked.body == {
        "project": "sample", "description": "Two files.", "playbook": "plan", "agent": "claude",
        "budget_usd": 3.0, "acceptance": False,
    }  # fmt: skip


def test_a_plan_is_shown_with_its_tasks_checks_and_reasons(run: Run, server: Loopback) -> None:
    stands(server, status="proposed", authors=[])
    ended = run("plan", "Two files.", "--project", "sample")
    assert ended.code == 0
    for part in ("confidence  0.80", "estimate    30 min", "TASK", "ISOLATION", "check", "agent"):
        assert part in ended.out, part
    assert "muster breakpoint resolve" in ended.err
    assert "TESTS" not in ended.out


def test_who_writes_tests_is_told_beside_the_task_and_is_no_step_of_the_plan(
    run: Run, server: Loopback
) -> None:
    child = canned.task(
        id="tsk_2", label="MU-2", status="blocked", parent_id="tsk_1", acceptance_id="tsk_3",
        needs=["tsk_0", "tsk_3"], needs_labels=["MU-0", "MU-3"],
    )  # fmt: skip
    author = canned.task("Write them", id="tsk_3", label="MU-3", status="executing", cost_usd=7.0)
    stands(server, status="blocked", breakpoint=None, workers=[child], authors=[author])
    shown = run("plan", "Two files.", "--project", "sample").out
    assert "Write them" not in shown
    (head, row) = [
        line.split() for line in shown.splitlines() if " TESTS " in line or "MU-2 " in line
    ]
    assert head[-3:] == ["NEEDS", "TESTS", "TITLE"]
    assert row[row.index("MU-0") + 1] == "MU-3"
    server.routes["GET", "/api/tasks/MU-1"] = server.routes["GET", "/api/tasks/tsk_1"]
    assert "with its workers $7.24" in run("task", "show", "MU-1").out


@pytest.mark.parametrize(("status", "code"), [("waiting", 7), ("failed", 1), ("cancelled", 1)])
def test_without_a_plan_the_exit_status_says_why(
    status: str, code: int, run: Run, server: Loopback
) -> None:
    stands(server, status=status, plan=None, workers=[])
    assert run("plan", "Two files.", "--project", "sample").code == code


def test_a_question_is_answered_in_words(run: Run, server: Loopback) -> None:
    asked = canned.question(kind="question", question="Say:\n1. Which two?")
    stands(server, status="waiting", plan=None, workers=[], breakpoint=asked)
    ended = run("plan", "Two files.", "--project", "sample")
    assert "1. Which two?\n" in ended.err
    assert 'muster breakpoint resolve bp_1 "YOUR ANSWER"' in ended.err


def test_waiting_for_a_plan_ends_where_only_people_can_go_on(run: Run, server: Loopback) -> None:
    child = canned.task(status="waiting", parent_id="tsk_1")
    stands(server, status="blocked", breakpoint=None, workers=[child], authors=[])
    ended = run("do", "Two files.", "--plan", "--project", "sample", "--wait")
    assert ended.code == 7
    assert "muster inbox" in ended.err


def test_a_plan_has_no_other_playbook(run: Run) -> None:
    ended = run("do", "x", "--plan", "--playbook", "solo", "--project", "sample", "--json")
    assert ended.code == 2
    assert "leave --playbook out" in json.loads(ended.out)["error"]["detail"]
