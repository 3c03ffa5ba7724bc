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
    assert run(*line, "--project", "sample", "--agent", "claude", "--budget", "3").code == 0
    asked = next(one for one in server.asked if one.method == "POST")
    assert asked.body == {
        "project": "sample", "description": "Two files.", "playbook": "plan", "agent": "claude",
        "budget_usd": 3.0,
    }  # fmt: skip


def test_a_plan_is_shown_with_its_tasks_checks_and_reasons(run: Run, server: Loopback) -> None:
    stands(server, status="proposed")
    ended = run("plan", "Two files.", "--project", "sample")
    assert ended.code == 0
    for part in ("confidence  0.80", "estimate    30 min", "TASK", "ISOLATION", "check", "agent"):
        assert part in ended.out, part
    assert "muster breakpoint resolve" in ended.err


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
    stands(server, status="blocked", breakpoint=None, workers=[child])
    ended = run("do", "Two files.", "--plan", "--project", "sample", "--wait")
    assert ended.code == 7
    assert "muster inbox" in ended.err


def test_a_plan_has_no_other_playbook(run: Run) -> None:
    ended = run("do", "x", "--plan", "--playbook", "solo", "--project", "sample", "--json")
    assert ended.code == 2
    assert "leave --playbook out" in json.loads(ended.out)["error"]["detail"]
