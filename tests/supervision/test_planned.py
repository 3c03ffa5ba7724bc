"""What is wrong with a plan, whoever made it, and which commands a plan may propose."""

from __future__ import annotations

import json
import random

import pytest
from pydantic import ValidationError

from engine.planned import plan, task
from muster.supervision.plan import Ground, in_order
from muster.supervision.plan_form import plan_on
from muster.supervision.proposed_command import fault_of_command

GROUND = Ground({"work"}, {"process", "sandbox"}, {"./check.sh"})


def said(told: object) -> str:
    """What is wrong with it; empty where nothing is."""
    try:
        plan_on(GROUND).model_validate_json(json.dumps(told))
    except ValidationError as error:
        return "; ".join(fault["msg"] for fault in error.errors())
    return ""


def test_a_sound_plan_is_taken_as_it_was_said() -> None:
    taken = plan_on(GROUND).model_validate_json(json.dumps(plan())).plain()
    assert [t.key for t in in_order(taken.tasks)] == ["a", "b"]
    assert (taken.confidence, taken.tasks[0].commands) == (0.9, (("pytest", "-q"),))


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (plan(task("a", agent="root")), "there is no agent 'root'; agents: work"),
        (plan(task("a", isolation="moon")), "may not run in 'moon'; places: process, sandbox"),
        (plan(task("a", "b"), task("b", "a")), "wait for each other: a → b → a"),
        (plan(task("a", "a")), "wait for each other: a → a"),
        (plan(task("a", "z")), "comes after 'z', which is no task of the plan"),
        (plan(task("a"), task("a")), "the key 'a' is given to more than one task"),
        (plan(task("A b")), "its key must be small letters"),
        (plan(task("a", minutes=1e9)), "minutes must be from 1 to 1440"),
        (plan(task("a", minutes=-5)), "minutes must be from 1 to 1440"),
        (plan(task("a", checks=[])), "it names no check"),
        (plan(task("a", files=["../../etc/passwd"])), "leaves the repository"),
        (plan(task("a", files=["/etc/passwd"])), "leaves the repository"),
        (plan(task("a", files=["C:/x"])), "leaves the repository"),
        (plan(task("a", files=[".git/hooks/pre-commit"])), "is not for agents"),
        (plan(task("a", files=[".muster/config.toml"])), "is not for agents"),
        (plan(task("a", files=["x"] * 3 + [f"f{n}" for n in range(41)])), "42 files are too many"),
        (plan(*[task(f"t{n}") for n in range(21)]), "21 tasks are too many"),
        (plan(task("a", type="revolution")), "Input should be 'feature'"),
        (plan(task("a", budget=5)), "Extra inputs are not permitted"),
        (plan(confidence=1.5), "less than or equal to 1"),
        ({**plan(), "tasks": []}, "there are no tasks"),
        ({**plan(confidence=0.2), "tasks": []}, "there are no tasks"),
        (plan(task("a", commands=[["rm", "-rf", "."]])), "which is no known test runner"),
    ],
)
def test_a_fault_is_told_in_a_sentence(told: object, fault: str) -> None:
    assert fault in said(told)


def test_who_is_unsure_may_ask_instead_of_planning() -> None:
    assert said({**plan(confidence=0.2, questions=["Which?"]), "tasks": []}) == ""


def test_a_plan_that_arrives_as_minutes_that_are_no_number_is_refused() -> None:
    text = json.dumps(plan()).replace('"minutes": 5', '"minutes": NaN')
    with pytest.raises(ValidationError):
        plan_on(GROUND).model_validate_json(text)


@pytest.mark.parametrize(
    "argv",
    [
        ["pytest", "-q", "tests/test_a.py::test_b[1-2]"],
        ["pytest", "-k", "a and not b"],
        ["python", "-m", "unittest", "discover"],
        ["npm", "test"],
        ["npm", "run", "test:unit"],
        ["npx", "vitest", "run"],
        ["go", "test", "./..."],
        ["cargo", "test", "--all"],
        ["make", "check"],
        ["./check.sh", "--fast"],
    ],
    ids=" ".join,
)
def test_a_known_runner_with_plain_arguments_is_taken(argv: list[str]) -> None:
    assert fault_of_command(argv, GROUND.programs) == ""


@pytest.mark.parametrize(
    "argv",
    [
        [],
        [""],
        ["sh", "-c", "pytest"],
        ["bash", "run.sh"],
        ["curl", "http://evil.example"],
        ["pytest", ";", "rm", "-rf", "."],
        ["pytest", "a;b"],
        ["pytest", "$(touch x)"],
        ["pytest", "`touch x`"],
        ["pytest", "x|sh"],
        ["pytest", "x", "&&", "sh"],
        ["pytest", ">", "file"],
        ["pytest", "a\nb"],
        ["pytest", "a\tb"],
        ["pytest", "\u202etxt"],
        ["pytest", "../other"],
        ["pytest", "/etc"],
        ["pytest", "--ignore=/etc"],
        ["pytest", "~/x"],
        ["pytest", "-p", "evil"],
        ["pytest", "-c", "evil.ini"],
        ["pytest", "--rootdir=x"],
        ["python", "-c", "import os"],
        ["python", "evil.py"],
        ["python", "-m", "http.server"],
        ["/usr/bin/pytest"],
        ["./pytest"],
        ["npm", "run", "postinstall"],
        ["npx", "evil"],
        ["npx", "jest", "--config", "evil.js"],
        ["go", "run", "./evil"],
        ["go", "test", "-exec", "sh"],
        ["go", "test", "-toolexec=sh"],
        ["cargo", "run"],
        ["cargo", "test", "--config", "x"],
        ["make", "SHELL=evil"],
        ["make", "-f", "evil"],
        ["env", "pytest"],
        ["sudo", "pytest"],
        ["git", "push"],
        ["pytest"] * 41,
        ["pytest", "x" * 401],
    ],
)
def test_what_may_run_anything_is_refused_with_its_reason(argv: list[str]) -> None:
    assert fault_of_command(argv, GROUND.programs)


def test_tasks_come_after_those_they_need_in_any_order_they_are_said() -> None:
    for seed in range(50):
        draw = random.Random(seed)
        keys = [f"t{n}" for n in range(12)]
        made = [
            task(key, *draw.sample(keys[:n], draw.randint(0, min(n, 3))))
            for n, key in enumerate(keys)
        ]
        draw.shuffle(made)
        ordered = in_order(
            plan_on(GROUND).model_validate_json(json.dumps(plan(*made))).plain().tasks
        )
        places = {planned.key: place for place, planned in enumerate(ordered)}
        assert len(places) == 12
        assert all(places[need] < places[t.key] for t in ordered for need in t.after)
