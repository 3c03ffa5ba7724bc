"""The server is killed wherever acceptance tests are kept or run; nothing is written twice."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from engine.houses import git, make_repo
from engine.test_acceptance import BASKET, DOES, RUNS, WISH, WRITES
from hostile.servers import muster, settings

POINTS = ("acceptance.judged", "acceptance.kept", "acceptance.before_run")


def own(name: str, script: str) -> str:
    command = json.dumps(["/bin/sh", "-c", script])
    return f'[agents.{name}]\ndriver = "command"\ncommand = {command}\n'


@pytest.mark.parametrize(
    "points",
    [POINTS[1:2], pytest.param(POINTS, marks=pytest.mark.long)],
    ids=["where they are kept", "at each step"],
)
def test_tests_are_written_once_and_judge_through_kills(
    home: Path, tmp_path: Path, points: tuple[str, ...]
):
    settings(
        home,
        'disk_floor_mb = 1\nruntime = "process"\nautonomy = "full"\nacceptance_tests = "on"\n'
        f"{own('coder', DOES)}{own('writer', WRITES)}",
    )
    repo = make_repo(tmp_path / "repo", BASKET)
    deadline = time.monotonic() + 110
    try:
        for point in (*points, ""):
            env = {"MUSTER_FAILPOINTS": point} if point else {}
            done = muster(home, "up", "--detach", "--port", "0", env=env)
            assert done.code == 0, done.err
            if point == points[0]:
                assert muster(home, "init", ".", "--yes", "--test", RUNS, cwd=repo).code == 0
                assert muster(home, "do", WISH, "--agent", "coder", cwd=repo).code == 0
            while point and muster(home, "status").code == 0:
                assert time.monotonic() < deadline, f"the server did not die at {point}"
                time.sleep(0.1)  # each look is a program of its own
        while (task := muster(home, "task", "show", "MU-1", "--json").json)[
            "status"
        ] != "completed":
            assert time.monotonic() < deadline, task["reason"]
            assert task["status"] not in {"failed", "waiting"}, task["reason"]
            time.sleep(0.1)
        wrote = muster(home, "task", "show", "MU-2", "--json").json
        page = muster(home, "task", "show", "MU-1").out
    finally:
        muster(home, "down")
    for each in (task, wrote):
        assert (each["attempt"], len(each["agents"]), len(each["verdicts"])) == (1, 1, 1)
    (passed,) = [f for f in task["verdicts"][0]["findings"] if f["code"].startswith("acceptance.")]
    assert (passed["code"], passed["evidence"]["tests"]) == ("acceptance.passed", 2)
    (acceptance,) = [line for line in page.splitlines() if line.strip().startswith("tests ")]
    assert "MU-2" in acceptance
    assert "2 tests, 1 of 2 files shown to the coder" in acceptance
    kept = home / "workspaces" / "repos" / f"{task['project_id']}.hidden" / "mirror.git"
    ref = git(kept, "rev-parse", f"refs/muster/acceptance/{wrote['id']}")
    assert ref == wrote["result_commit"]
