"""A conversation with the real Claude Code: it asks, is answered and told, through kills."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.houses import git, make_repo
from hostile.servers import muster, served, settings, until
from model_server.server import ModelServer
from muster.client import Muster
from muster.client.shapes import TaskDetail

pytestmark = pytest.mark.needs_claude

SCRIPTS = {
    "both": [
        {"tools": [{"tool": "write", "path": "first.txt", "content": "as the model wants"}]},
        {"tools": [{"tool": "write", "path": "second.txt", "content": "two"}]},
        {"text": "Both are written."},
    ],
    "risky": [
        {"tools": [{"tool": "write", "path": "work.txt", "content": "hours of it"}]},
        {"tools": [{"tool": "bash", "command": "rm -rf .git; rm work.txt; echo gone > left.txt"}]},
        {"text": "That is done."},
    ],
}
OWN = """\
disk_floor_mb = 1
max_attempts = 1
permissions = "ask"
permission_rules = ["allow Write(second.*)"]
"""


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer(SCRIPTS) as running:
        yield running


@pytest.fixture
def env(model: ModelServer, claude_path: str) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": "sk-ant-test-0123456789abcdef",
        "PATH": f"{Path(claude_path).parent}:/usr/local/bin:/usr/bin:/bin",
    }


def killed_and_up_again(home: Path, env: dict[str, str]) -> None:
    """Kill the server as nobody can prevent, and start another."""
    os.kill(json.loads((home / "server.json").read_text())["pid"], signal.SIGKILL)
    up = muster(home, "up", "--detach", "--port", "0", "--json", env=env)
    assert up.code == 0, up.err


def test_it_asks_is_answered_and_told_through_two_kills_and_what_was_allowed_is_merged(
    home: Path, tmp_path: Path, env: dict[str, str], model: ModelServer
):
    settings(home, OWN)
    repo = make_repo(tmp_path / "repo", {"a.txt": "a\n"})
    with served(home, env):
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        made = muster(
            home, "do", "Write it [[script:both]]", "--agent", "claude", "--type", "chore",
            "--model", "claude-sonnet-4-5", "--autonomy", "full", "--json", cwd=repo,
        ).json  # fmt: skip
        until(home, lambda client: client.list_breakpoints()["items"])
        (item,) = muster(home, "inbox", "--json").json["items"]
        assert item["kind"] == "permission"
        assert item["options"][0] == "allow"
        assert item["evidence"]["input"]["content"] == "as the model wants"

        killed_and_up_again(home, env)
        (again,) = muster(home, "inbox", "--json").json["items"]
        assert again["id"] == item["id"]
        told = muster(home, "agent", "send", made["label"], "Keep it short.")
        assert told.code == 0, told.err
        edited = json.dumps({"content": "as the person wants"})
        done = muster(home, "breakpoint", "resolve", made["label"], "edit", "--note", edited)
        assert done.code == 0, done.err
        killed_and_up_again(home, env)

        def ended(client: Muster) -> bool:
            return client.get_task(made["label"])["status"] in {"completed", "failed", "waiting"}

        until(home, ended)
        task = muster(home, "task", "show", made["label"], "--json").json
        assert task["status"] == "completed", task["reason"]
        assert task["attempt"] == 1
        assert git(repo, "show", "main:first.txt") == "as the person wants"
        assert git(repo, "show", "main:second.txt") == "two"
        events = muster(home, "event", "list", "--json", "--limit", "200").json["items"]
        (ruled,) = (e["payload"] for e in events if e["type"] == "permission.ruled")
        assert ruled["by"] == "allow Write(second.*)"
        record = home / "runs" / task["agents"][0]["id"] / "in"
        assert record.read_text().count("as the person wants") == 1
        assert record.read_text().count("Keep it short.") == 1
        assert any("Keep it short." in json.dumps(request.body) for request in model.requests)


@pytest.mark.long
def test_a_rule_holds_it_until_a_person_answers_and_it_goes_on_from_a_checkpoint(
    home: Path, tmp_path: Path, env: dict[str, str]
):
    settings(home, OWN.replace('"ask"', '"rules"').replace("allow Write(second.*)", "allow *"))
    repo = make_repo(tmp_path / "repo", {"a.txt": "a\n"})
    with served(home, env):
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        made = muster(
            home, "do", "Clear up [[script:risky]]", "--agent", "claude", "--type", "chore",
            "--model", "claude-sonnet-4-5", "--autonomy", "confirm", "--json", cwd=repo,
        ).json  # fmt: skip
        (item,) = until(home, lambda client: client.list_breakpoints()["items"])
        assert item["kind"] == "permission"
        assert item["evidence"]["rules"][0]["rule"] == "destructive-command"
        killed_and_up_again(home, env)
        assert muster(home, "breakpoint", "resolve", made["label"], "allow").code == 0

        def over(client: Muster) -> TaskDetail | None:
            task = client.get_task(made["label"])
            return task if task["status"] in {"completed", "failed", "waiting"} else None

        task = until(home, over)
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "merge"), task["reason"]
        branch = f"muster/{made['id']}"
        assert git(repo, "show", f"{branch}:left.txt") == "gone"
        points = {point["label"]: point["n"] for point in task["checkpoints"]}
        before = points[item["evidence"]["checkpoint"]]
        back = muster(home, "task", "restore", made["label"], str(before))
        assert back.code == 0, back.err
        assert git(repo, "show", f"{branch}:work.txt") == "hours of it"
