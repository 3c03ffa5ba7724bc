"""The server is killed just where a rule of breakpoints acts; a person is asked once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from engine.houses import CALC, make_repo
from hostile.servers import muster, settings

RULES = "rules:\n- name: mine\n  when: {minutes: {above: 0}}\n  do: pause\n"


def up(home: Path, dying: str = "") -> None:
    env = {"MUSTER_FAILPOINTS": dying} if dying else {}
    done = muster(home, "up", "--detach", "--port", "0", env=env)
    assert done.code == 0, done.err


def listed(home: Path, *what: str) -> list[dict[str, Any]]:
    return list(muster(home, *what, "--json").json["items"])


@pytest.mark.long
@pytest.mark.parametrize("point", ["rule.before_stop", "rule.after_stop"])
def test_a_rule_stops_a_run_and_asks_once_through_a_kill(home: Path, tmp_path: Path, point: str):
    settings(
        home,
        'disk_floor_mb = 1\nruntime = "process"\n[agents.sleeps]\ndriver = "command"\n'
        'command = ["/bin/sh", "-c", "echo begun; sleep 600"]\n',
    )
    repo = make_repo(tmp_path / "repo", {**CALC, ".muster/breakpoints.yaml": RULES})
    up(home, dying=point)
    try:
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        what = ("do", "Look.", "--agent", "sleeps", "--type", "chore", "--autonomy", "full")
        muster(home, *what, cwd=repo)
        deadline = time.monotonic() + 100
        while muster(home, "status").code == 0:
            assert time.monotonic() < deadline, "the server did not die"
            time.sleep(0.1)
        up(home)
        while (task := listed(home, "task", "list", "--all")[0])["status"] != "waiting":
            assert time.monotonic() < deadline, task
            time.sleep(0.1)
        (question,) = listed(home, "breakpoint", "list", "--all")
        assert question["kind"] == "rule"
        (rule,) = question["evidence"]["rules"]
        assert (rule["rule"], rule["conditions"][0]["kind"]) == ("mine", "minutes")
        (agent,) = listed(home, "agent", "list")
        assert agent["outcome"] == "held"
        told = [e for e in listed(home, "event", "list") if e["type"] == "rule.held"]
        assert len(told) == 1
    finally:
        muster(home, "down")
