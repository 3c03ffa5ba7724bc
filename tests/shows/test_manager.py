"""The manager with two workers, end to end, by the real Claude Code on the loopback model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.two_way_programs import PROGRAMS
from engine.houses import git, make_repo
from hostile.servers import muster, settings, surroundings
from house.ports import free_port
from matrix.places import COLUMNS
from model_server.server import ModelServer
from muster.client import Muster
from muster.client.home import find_server, read_token

pytestmark = pytest.mark.needs_claude

PATIENCE = 120.0
PLAN = "I make two tasks of it: one.txt and two.txt."


def tool(name: str, **given: Any) -> dict[str, Any]:
    return {"tool": "call", "name": name, "input": given}


def spawn(name: str) -> dict[str, Any]:
    prompt = f"Write {name}.txt. [[script:{name}]]"
    return tool("spawn_worker", id=name, prompt=prompt, title=f"Write {name}", type="chore")


def scripts(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """A manager that plans, spawns, waits and sums up; workers that wait in the middle."""
    wait = [tool("wait_for_workers", wait_seconds=50)]
    # The first is broken off by the server's death; the next is made when there is another one.
    waits = [
        {"tools": wait},
        {"until": str(folder / "boss"), "tools": wait},
        *[{"tools": wait}] * 3,
    ]
    finish = tool("finish", status="completed", summary="one.txt and two.txt are written")
    workers = {
        name: [
            {"tools": [{"tool": "write", "path": f"{name}.txt", "content": f"{name}\n"}]},
            {"until": str(folder / name), "text": f"{name} is written."},
        ]
        for name in ("one", "two")
    }
    return {
        "boss": [
            {"text": PLAN, "tools": [spawn("one")]},
            {"tools": [spawn("two")]},
            *waits,
            {"tools": [finish]},
            {"text": "Both are written."},
        ],
        "talk": [
            {"text": PLAN, "tools": [spawn("one"), spawn("two")]},
            {"tools": wait},
            {"text": "Both are written."},
        ],
        "sum": [{"tools": [finish]}, {"text": "That was all."}],
        **workers,
    }


def until(look: Callable[[], Any], what: str) -> Any:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


def begin(home: Path, env: dict[str, Any], *args: str, **more: Any) -> subprocess.Popen[str]:
    """A command line that goes on beside."""
    return subprocess.Popen(
        [sys.executable, "-m", "muster", "--home", str(home), *args],
        env=surroundings(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more,
    )  # fmt: skip


def output_of(home: Path, role: str) -> str:
    """What the agent of that role wrote."""
    return "".join(path.read_text() for path in (home / "runs").glob(f"{role}-*/out"))


def environment(model: ModelServer) -> dict[str, str]:
    return {k: v.replace("{url}", model.url) for k, v in PROGRAMS["claude"].environ.items()}


@pytest.mark.needs_docker
@pytest.mark.timeout(400)
def test_a_wish_is_split_among_workers_in_containers_though_the_server_is_killed(
    home: Path, tmp_path: Path
):
    repo = make_repo(tmp_path / "repo", {"a.txt": "a\n"})
    port = str(free_port())
    with (
        ModelServer(scripts(tmp_path)) as model,
        COLUMNS["docker"].ready(home, "claude") as ready,
    ):
        network = json.dumps([f"127.0.0.1:{model.port}"])
        settings(
            home,
            f'disk_floor_mb = 1\nautonomy = "full"\nmax_attempts = 1\nmax_concurrent = 2\n'
            f"network = {network}\n{ready.settings}",
        )
        env = {**environment(model), **ready.env}
        up = ("up", "--detach", "--port", port, "--json")
        assert muster(home, *up, env=env).code == 0
        try:
            assert muster(home, "queue", "set", "max_concurrent", "2").code == 0
            assert muster(home, "init", str(repo), "--yes", "--test", "true").code == 0
            asked = begin(
                home, env, "manager", "Write two files [[script:boss]]", "--repo", str(repo),
                "--agent", "claude", "--model", "claude-sonnet-4-5", "--wait",
            )  # fmt: skip
            until(
                lambda: all((tmp_path / f"{n}.asked").exists() for n in ("one", "two")),
                "the workers never came to the middle",
            )
            until(lambda: "wait_for_workers" in output_of(home, "manager"), "it never waited")
            assert len(muster(home, "agent", "list", "--active", "--json").json["items"]) == 3
            pid = json.loads((home / "server.json").read_text())["pid"]
            os.kill(pid, signal.SIGKILL)
            again = muster(home, *up, env=env)
            assert again.code == 0, again.err
            with Muster(find_server(home).url, read_token(home)) as client:
                adopted = client.health()["engine"]["adopted"]
            for name in ("one", "two", "boss"):
                (tmp_path / name).touch()
            told, _ = asked.communicate(timeout=PATIENCE)
            assert asked.returncode == 0, told
            shown(home, repo, adopted)
        finally:
            muster(home, "down", env=env)


def shown(home: Path, repo: Path, adopted: int) -> None:
    """What is left of it in muster, in files and in the repository."""
    assert adopted == 3
    (label,) = (
        t["label"]
        for t in muster(home, "task", "list", "--all", "--json").json["items"]
        if t["playbook"] == "manager"
    )
    task = muster(home, "task", "show", label, "--json").json
    assert (task["status"], task["attempt"]) == ("completed", 1), task["reason"]
    (boss,) = task["agents"]
    assert (boss["role"], boss["runtime"]) == ("manager", "docker")
    assert boss["result"]["summary"] == "one.txt and two.txt are written"
    assert [w["errand"] for w in task["workers"]] == ["one", "two"]
    for worker in task["workers"]:
        assert (worker["status"], worker["attempt"]) == ("completed", 1), worker["reason"]
        whole = muster(home, "task", "show", worker["label"], "--json").json
        assert [a["runtime"] for a in whole["agents"]] == ["docker"]
        assert [v["passed"] for v in whole["verdicts"]] == [True]
        assert git(repo, "show", f"main:{worker['errand']}.txt") == worker["errand"]
        results = home / "runs" / boss["id"] / "agent" / "mailbox" / "results"
        file = json.loads((results / f"{worker['errand']}.json").read_text())
        assert (file["status"], file["passed"]) == ("completed", True)
        assert file["merged_commit"] == worker["merged_commit"]
        assert muster(home, "worker", "result", worker["label"]).code == 0
    (verdict,) = task["verdicts"]
    assert [f["code"] for f in verdict["findings"]] == ["worker.completed"] * 2
    said = [event["payload"]["text"] for event in events(home, "agent.said")]
    assert said.count(PLAN) == 1
    assert len(events(home, "agent.spawned")) == 2


@pytest.mark.long
def test_a_person_speaks_with_a_manager_leaves_it_and_comes_back(home: Path, tmp_path: Path):
    repo = make_repo(tmp_path / "repo", {"a.txt": "a\n"})
    for name in ("one", "two"):
        (tmp_path / name).touch()
    settings(home, 'disk_floor_mb = 1\nmax_attempts = 1\nautonomy = "full"\n')
    with ModelServer(scripts(tmp_path)) as model:
        env = environment(model)
        assert muster(home, "up", "--detach", "--port", "0", "--json", env=env).code == 0
        try:
            assert muster(home, "init", str(repo), "--yes", "--test", "true").code == 0
            line = ("manager", "--repo", str(repo))
            how = ("--agent", "claude", "--model", "claude-sonnet-4-5", "--runtime", "process")
            first = begin(home, env, *line, *how, stdin=subprocess.PIPE)
            assert first.stdin
            first.stdin.write("Write two files [[script:talk]]\n")
            first.stdin.flush()
            until(lambda: said(home, "Both are written."), "the manager never came to its end")
            out, _ = first.communicate("/workers\n/quit\n", timeout=PATIENCE)
            assert first.returncode == 0, out
            assert "runs as a plain process" in out
            assert PLAN in out
            assert "MU-2 (one)  ✓ completed  merged into main" in out
            assert "its manager lives on" in out
            (task,) = [t for t in tasks(home) if t["playbook"] == "manager"]
            assert task["status"] == "executing"

            back = begin(home, env, *line, stdin=subprocess.PIPE)
            assert back.stdin
            back.stdin.write("That is all [[script:sum]]\n")
            back.stdin.flush()
            with back:
                assert back.wait(timeout=PATIENCE) == 0
                assert back.stdout
                assert "That was all." in back.stdout.read()
            (ended,) = [t for t in tasks(home) if t["playbook"] == "manager"]
            assert (ended["id"], ended["status"]) == (task["id"], "completed")
        finally:
            muster(home, "down", env=env)


def said(home: Path, words: str) -> bool:
    return any(words == event["payload"]["text"] for event in events(home, "agent.said"))


def events(home: Path, kind: str) -> list[dict[str, Any]]:
    return list(muster(home, "event", "list", "--type", kind, "--json").json["items"])


def tasks(home: Path) -> list[dict[str, Any]]:
    return list(muster(home, "task", "list", "--all", "--json").json["items"])
