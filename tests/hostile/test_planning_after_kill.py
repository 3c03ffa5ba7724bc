"""The server is killed where a model is asked: what was answered is kept, nothing is doubled."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.houses import CALC, make_repo
from engine.planned import plan, says, task
from hostile.servers import muster, settings
from llm_server import ollama
from llm_server.server import LlmServer

POINTS = [
    "plan.before_ask", "plan.answered", "plan.half_written", "acceptance.half_made",
    "plan.before_commit",
]  # fmt: skip
TITLES = [
    "Acceptance tests for MU-2: Make a", "Acceptance tests for MU-4: Make b", "Make a", "Make b",
    "Two files.",
]  # fmt: skip


def up(home: Path, dying: str = "") -> None:
    env = {"MUSTER_FAILPOINTS": dying} if dying else {}
    done = muster(home, "up", "--detach", "--port", "0", env=env)
    assert done.code == 0, done.err


def listed(home: Path, *what: str) -> list[dict[str, Any]]:
    return list(muster(home, *what, "--json").json["items"])


def killed_and_up_again(home: Path, deadline: float) -> list[dict[str, Any]]:
    """Wait until the server has died at its point; with the next one, until there is a plan."""
    while muster(home, "status").code == 0:
        assert time.monotonic() < deadline, "the server did not die"
        time.sleep(0.1)
    up(home)
    while (found := listed(home, "task", "list", "--all"))[-1]["status"] != "proposed":
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


@contextmanager
def planning(home: Path, repo: Path, point: str, more: str) -> Iterator[None]:
    """A server that plans by a model and dies at a point; `more` are settings of its agent."""
    with LlmServer(ollama) as server:
        parts = (task("b", "a", type="feature"), task("a", type="feature"))
        server.state.usual = json.dumps(plan(*parts))
        settings(
            home,
            f'disk_floor_mb = 1\nruntime = "process"\nsupervisor = "ollama:qwen3:8b@{server.url}"\n'
            f'acceptance_tests = "on"\n{more}',
        )
        make_repo(repo, CALC)
        up(home, dying=point)
        try:
            yield
        finally:
            muster(home, "down")


@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p == POINTS[2] else pytest.mark.long) for p in POINTS]
)
def test_a_plan_is_made_once_and_whole_through_a_kill(home: Path, tmp_path: Path, point: str):
    agent = '[agents.work]\ndriver = "command"\ncommand = ["true"]\n'
    repo = tmp_path / "repo"
    with planning(home, repo, point, agent):
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        muster(home, "do", "Two files.", "--plan", cwd=repo)
        found = killed_and_up_again(home, time.monotonic() + 100)
        assert sorted(one["title"] for one in found) == TITLES
        (question,) = listed(home, "breakpoint", "list", "--all")
        assert question["kind"] == "start"
        told = [e["type"] for e in listed(home, "event", "list")]
        assert told.count("task.plan.created") == 1
        assert told.count("task.created") == len(TITLES)


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_a_task_is_split_once_and_whole_through_a_kill(home: Path, tmp_path: Path, point: str):
    agent = '[agents.work]\ndriver = "command"\ncommand = ["touch", "refused"]\n'
    repo, test = tmp_path / "repo", ("--test", "test ! -e refused")
    with planning(home, repo, point, f"split_after = 1\n{agent}"):
        assert muster(home, "init", ".", "--yes", *test, cwd=repo).code == 0
        muster(home, "do", "Two files.", "--type", "chore", cwd=repo)
        found = killed_and_up_again(home, time.monotonic() + 100)
        assert sorted(one["title"] for one in found) == TITLES
        (question,) = listed(home, "breakpoint", "list", "--all")
        assert "was refused once as one task" in question["question"]
        told = [e["type"] for e in listed(home, "event", "list")]
        assert told.count("decision.made") == told.count("task.plan.created") == 1
        assert told.count("task.created") == len(TITLES)
        assert told.count("agent.started") == 1


@pytest.mark.long
@pytest.mark.parametrize("point", ["review.rubric_kept", "review.ballot_kept"])
def test_a_review_that_was_kept_is_not_asked_for_again_after_a_kill(
    home: Path, tmp_path: Path, point: str
):
    rubric = {"questions": ["Does the file say hello?", "Is nothing else changed?"]}
    one = {"yes": True, "quote": "hello", "path": "hello.txt", "line": 1}
    with LlmServer(ollama) as server:
        server.then(says(rubric), says({"answers": [{"n": n, **one} for n in (1, 2)]}))
        settings(
            home,
            f'disk_floor_mb = 1\nruntime = "process"\nsupervisor = "ollama:qwen3:8b@{server.url}"\n'
            'review = "on"\n[agents.work]\ndriver = "command"\n'
            'command = ["/bin/sh", "-c", "echo hello > hello.txt"]\n',
        )
        repo = make_repo(tmp_path / "repo", CALC)
        up(home, dying=point)
        try:
            assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
            muster(home, "do", "Say hello.", "--type", "chore", "--agent", "work", cwd=repo)
            deadline = time.monotonic() + 100
            while muster(home, "status").code == 0:
                assert time.monotonic() < deadline, "the server did not die"
                time.sleep(0.1)
            up(home)
            while (found := listed(home, "task", "list", "--all"))[0]["status"] != "waiting":
                assert time.monotonic() < deadline, found
                time.sleep(0.1)
            shown = muster(home, "task", "show", "MU-1", "--json").json
            (verdict,) = shown["verdicts"]
            assert verdict["findings"][-1]["evidence"]["yes"] == 2
            assert len(server.asked) == 2
        finally:
            muster(home, "down")
