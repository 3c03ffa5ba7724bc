"""The server is killed in the middle of planning; the plan is made once, and whole."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from engine.houses import CALC, make_repo
from engine.planned import plan
from hostile.servers import muster, settings
from llm_server import ollama
from llm_server.server import LlmServer

POINTS = ["plan.before_ask", "plan.answered", "plan.half_written", "plan.before_commit"]


def up(home: Path, dying: str = "") -> None:
    env = {"MUSTER_FAILPOINTS": dying} if dying else {}
    done = muster(home, "up", "--detach", "--port", "0", env=env)
    assert done.code == 0, done.err


def listed(home: Path, *what: str) -> list[dict[str, Any]]:
    return list(muster(home, *what, "--json").json["items"])


@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p == POINTS[2] else pytest.mark.long) for p in POINTS]
)
def test_a_plan_is_made_once_and_whole_through_a_kill(home: Path, tmp_path: Path, point: str):
    with LlmServer(ollama) as server:
        server.state.usual = json.dumps(plan())
        settings(
            home,
            f'disk_floor_mb = 1\nruntime = "process"\nsupervisor = "ollama:qwen3:8b@{server.url}"\n'
            '[agents.work]\ndriver = "command"\ncommand = ["true"]\n',
        )
        repo = make_repo(tmp_path / "repo", CALC)
        up(home, dying=point)
        try:
            assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
            muster(home, "do", "Two files.", "--plan", cwd=repo)
            deadline = time.monotonic() + 100
            while muster(home, "status").code == 0:
                assert time.monotonic() < deadline, "the server did not die"
                time.sleep(0.1)
            up(home)
            while (found := listed(home, "task", "list", "--all"))[-1]["status"] != "proposed":
                assert time.monotonic() < deadline, found
                time.sleep(0.1)
            assert sorted(task["title"] for task in found) == ["Make a", "Make b", "Two files."]
            (question,) = listed(home, "breakpoint", "list", "--all")
            assert question["kind"] == "start"
            told = [e["type"] for e in listed(home, "event", "list")]
            assert told.count("task.plan.created") == 1
            assert told.count("task.created") == 3
        finally:
            muster(home, "down")
