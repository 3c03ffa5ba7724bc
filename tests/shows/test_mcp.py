"""The real programs use muster's own MCP server: what they say there is in muster's events."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.two_way_programs import PROGRAMS
from engine.houses import git, make_repo
from hostile.servers import muster, served, settings, until
from house.ports import free_port
from model_server.server import ModelServer
from muster.client import Muster

SCRIPT: list[dict[str, Any]] = [
    {
        "text": "I tell.",
        "tools": [
            {
                "tool": "call",
                "name": "report_progress",
                "input": {"text": "half way", "percent": 50},
            }
        ],
    },
    {"tools": [{"tool": "write", "path": "NOTES.md", "content": "Noted.\n"}]},
    {
        "tools": [
            {
                "tool": "call",
                "name": "finish",
                "input": {"status": "completed", "summary": "all of it"},
            }
        ]
    },
    {"text": "Done."},
]
HOLDS = """
import json, os, time, urllib.request
body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
body["params"] = {"name": "take_locks", "arguments": {"paths": ["held"]}}
headers = {
    "Authorization": "Bearer " + os.environ["MUSTER_TOKEN"],
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}
url = os.environ["MUSTER_URL"] + "/mcp"
urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).read()
time.sleep(300)
"""
WRITES = [
    {"tools": [{"tool": "write", "path": "held/a.txt", "content": "mine now\n"}]},
    {"tools": [{"tool": "write", "path": "free.txt", "content": "free\n"}]},
    SCRIPT[-2],
    {"text": "Done."},
]
SEARCH = {"tools": [{"tool": "search", "query": "muster report_progress finish"}]}


def scripts(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What is answered; some of it once a file says that the time has come."""

    def waits(name: str) -> dict[str, Any]:
        return {"until": str(folder / name), "tools": [{"tool": "bash", "command": "true"}]}

    return {
        "tell": SCRIPT,
        "seek": [waits("connected"), SEARCH, *SCRIPT],
        "write": WRITES,
        "outlast": [SCRIPT[0], waits("restarted"), *SCRIPT[1:]],
    }


CONNECTED = ("mcpServer/startupStatus/updated", '"muster"', '"ready"')
"""Codex connects beside its first turn; a turn that comes before has none of the tools."""
SETTINGS = "disk_floor_mb = 1\nmax_attempts = 1\n"


def environment(name: str, model: ModelServer) -> dict[str, str]:
    """The variables that lead a program to the model."""
    return {k: v.replace("{url}", model.url) for k, v in PROGRAMS[name].environ.items()}


@pytest.fixture
def model(tmp_path: Path) -> Iterator[ModelServer]:
    with ModelServer(scripts(tmp_path)) as running:
        yield running


@contextmanager
def heeded(home: Path, words: tuple[str, ...], file: Path) -> Iterator[None]:
    """Put a file there once a program has written a line with all of these words."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            lines = (
                line for out in home.glob("runs/*/out") for line in out.read_text().split("\n")
            )
            if any(all(word in line for word in words) for line in lines):
                file.touch()
                return

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


@pytest.mark.parametrize(
    ("name", "script", "runtime"),
    [
        pytest.param(
            "claude", "tell", "process", marks=[pytest.mark.needs_claude, pytest.mark.long]
        ),
        pytest.param(
            "claude",
            "tell",
            "sandbox",
            marks=[pytest.mark.needs_claude, pytest.mark.needs_bubblewrap, pytest.mark.long],
        ),
        # It finds tools by searching.
        pytest.param("codex", "seek", "process", marks=[pytest.mark.needs_codex]),
        pytest.param(
            "opencode", "tell", "process", marks=[pytest.mark.needs_opencode, pytest.mark.long]
        ),
    ],
)
def test_it_reports_and_hands_in_its_result(
    name: str, script: str, runtime: str, home: Path, tmp_path: Path, model: ModelServer
):
    program = PROGRAMS[name]
    repo = make_repo(tmp_path / "repo", {"a.txt": "a\n"})
    env = environment(name, model)
    settings(home, SETTINGS)
    with served(home, env), heeded(home, CONNECTED, tmp_path / "connected"):
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        which = ["--model", program.model] if program.model else []
        done = muster(
            home, "do", f"Note it. [[script:{script}]]", "--agent", name, "--type", "chore",
            "--runtime", runtime, "--autonomy", "full", "--wait", "--json", *which, cwd=repo,
        )  # fmt: skip
        assert done.code == 0, (done.out, done.err)
        (agent,) = done.json["agents"]
        assert agent["result"] == {"status": "completed", "summary": "all of it", "data": {}}
        events = muster(home, "event", "list", "--json", cwd=repo).json["items"]
        told = [e["payload"] for e in events if "progress" in e["payload"]]
        assert [(t["progress"], t["percent"]) for t in told] == [("half way", 50)]
        assert [e for e in events if e["type"] == "network.refused"] == []


@pytest.mark.needs_claude
@pytest.mark.needs_bubblewrap
def test_a_file_that_another_agent_has_locked_is_not_changed(
    home: Path, tmp_path: Path, model: ModelServer
):
    repo = make_repo(tmp_path / "repo", {"held/a.txt": "a\n"})
    (home / "holds.py").write_text(HOLDS)
    command = json.dumps([sys.executable, str(home / "holds.py")])
    settings(home, f'{SETTINGS}\n[agents.holds]\ndriver = "command"\ncommand = {command}\n')
    with served(home, environment("claude", model)):
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        assert muster(home, "queue", "set", "max_concurrent", "2").code == 0
        how = ("--type", "chore", "--autonomy", "full", "--json")
        holder = muster(home, "do", "Hold it.", "--agent", "holds", *how, cwd=repo).json
        until_event(home, "lock.taken")
        done = muster(
            home, "do", "Write. [[script:write]]", "--agent", "claude", "--runtime", "sandbox",
            "--wait", *how, cwd=repo,
        )  # fmt: skip
        assert done.code == 0, (done.out, done.err)
        (kept,) = until_event(home, "lock.kept")
        assert (kept["payload"]["path"], kept["task_id"]) == ("held/a.txt", done.json["id"])
        assert done.json["agents"][0]["result"]["summary"] == "all of it"
        assert muster(home, "task", "cancel", holder["id"], cwd=repo).code == 0
    assert git(repo, "show", "--format=", "--name-only", "main^..main") == "free.txt"


@pytest.mark.long
@pytest.mark.needs_claude
@pytest.mark.needs_bubblewrap
def test_its_tools_work_on_when_the_server_was_killed_meanwhile(
    home: Path, tmp_path: Path, model: ModelServer
):
    repo = make_repo(tmp_path / "repo", {"a.txt": "a\n"})
    settings(home, f"{SETTINGS}port = {free_port()}\n")
    env = environment("claude", model)
    up = ("up", "--detach", "--json")
    assert muster(home, *up, env=env).code == 0
    try:
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        made = muster(
            home, "do", "Outlast it. [[script:outlast]]", "--agent", "claude", "--type", "chore",
            "--runtime", "sandbox", "--autonomy", "full", "--json", cwd=repo,
        ).json  # fmt: skip
        until_events(home, lambda event: event["payload"].get("progress") == "half way")
        os.kill(json.loads((home / "server.json").read_text())["pid"], signal.SIGKILL)
        assert muster(home, *up, env=env).code == 0
        (tmp_path / "restarted").touch()
        until_events(home, lambda event: event["type"] in {"task.completed", "task.failed"})
        task = muster(home, "task", "show", made["id"], "--json").json
        assert (task["status"], task["attempt"]) == ("completed", 1), task["reason"]
        assert task["agents"][0]["result"]["summary"] == "all of it"
    finally:
        muster(home, "down")


def until_event(home: Path, kind: str) -> list[dict[str, Any]]:
    """The events of a kind, once there is one."""
    return until_events(home, lambda event: event["type"] == kind)


def until_events(home: Path, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The events that are wanted, once there is one."""

    def look(client: Muster) -> list[Any]:
        return [event for event in client.list_events(limit=200)["items"] if wanted(event)]

    found: list[dict[str, Any]] = until(home, look)
    return found
