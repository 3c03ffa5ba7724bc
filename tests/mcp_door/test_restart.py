"""An agent finds the door again though the server was killed: where it was, with its own token."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from agents.small_acp import speaks_acp
from engine.houses import ENDS, make_repo
from hostile.servers import muster, served, settings, until
from muster.client.home import running_server
from muster.domain.ids import token_of

AGENT = """
CAN = {"mcpCapabilities": {"http": True}}
def begin(session, asked):
    (server,) = asked["mcpServers"] or [None]
    headers = {one["name"]: one["value"] for one in server["headers"]} if server else {}
    seen = {
        "url": server and server["url"],
        "is_own": headers.get("Authorization") == f"Bearer {os.environ['MUSTER_TOKEN']}",
        "environ": os.environ["MUSTER_URL"],
    }
    pathlib.Path("seen.json").write_text(json.dumps(seen))
    say({"id": session, "result": {"sessionId": "s-1"}})
def turn(number, prompt):
    end(number)
"""


def port_of(home: Path) -> int:
    return int(json.loads((home / "server.json").read_text())["url"].rpartition(":")[2])


def task_of(home: Path) -> dict[str, Any]:
    (task,) = muster(home, "task", "list", "--all", "--json").json["items"]
    return dict(task)


def up(home: Path, *, dying: str = "") -> None:
    env = {"MUSTER_FAILPOINTS": dying} if dying else {}
    done = muster(home, "up", "--detach", "--port", "0", env=env)
    assert done.code == 0, done.err


def test_a_session_that_begins_after_the_server_was_killed_has_the_mcp_server(
    home: Path, tmp_path: Path
):
    command = json.dumps(speaks_acp(AGENT))
    own = f'[agents.speaks]\ndriver = "acp"\ncommand = {command}\n'
    settings(home, f"disk_floor_mb = 1\nmax_attempts = 1\n{own}")
    repo = make_repo(tmp_path / "repo", {"a.txt": "a\n"})
    up(home, dying="run.after_spawn")
    try:
        port = port_of(home)
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        what = ("do", "Look.", "--agent", "speaks", "--type", "chore", "--autonomy", "full")
        muster(home, *what, cwd=repo)
        deadline = time.monotonic() + 120
        while running_server(home) is not None:
            assert time.monotonic() < deadline, "the server did not die"
            time.sleep(0.05)
        up(home)
        assert port_of(home) == port
        until(home, lambda client: client.list_tasks()["items"][0]["status"] in ENDS)
        task = task_of(home)
        assert (task["status"], task["attempt"]) == ("completed", 1), task["reason"]
        seen = json.loads((repo / "seen.json").read_text())
        (agent,) = muster(home, "agent", "list", "--json").json["items"]
        told = (home / "runs" / agent["id"] / "in").read_text()
        key = (home / "agents.key").read_text().strip().encode()
        assert "session/new" in told
        assert token_of(key, agent["id"]) not in told
        where = f"http://127.0.0.1:{port}"
        assert seen == {"url": f"{where}/mcp", "is_own": True, "environ": where}
    finally:
        muster(home, "down")


@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
def test_a_free_port_is_taken_again_unless_somebody_else_has_it(home: Path, taken: bool):
    with served(home):
        port = port_of(home)
    if not taken:
        with served(home):
            assert port_of(home) == port
        return
    with socket.create_server(("127.0.0.1", port)), served(home):
        assert port_of(home) != port
