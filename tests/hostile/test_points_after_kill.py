"""The server is killed where work is kept, put back, forked or judged later: once, whole, or not.

Who asked was not answered, and asks again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from engine.houses import CALC, git, make_repo
from hostile.mortal import Mortal, mortal
from hostile.servers import muster, settings

WISH = {"agent": "work", "type": "chore"}


def works(home: Path, does: str, autonomy: str) -> None:
    """Settings of a home with an agent that does this."""
    command = json.dumps(["/bin/sh", "-c", does])
    settings(
        home,
        f'disk_floor_mb = 1\nruntime = "process"\nautonomy = "{autonomy}"\n'
        f'[agents.work]\ndriver = "command"\ncommand = {command}\n',
    )


def points_of(server: Mortal, task: str) -> list[tuple[str, str]]:
    """A task's checkpoints: what each is called, and its commit."""
    found = server.said(lambda client: client.list_checkpoints(task))["items"]
    return [(point["label"], point["commit"]) for point in found]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_checkpoint_is_taken_gone_back_to_and_forked_once_through_kills(
    home: Path, tmp_path: Path
):
    repo = make_repo(tmp_path / "repo", CALC)
    works(home, 'echo "$MUSTER_ATTEMPT" > made.txt', "confirm")
    with mortal(home) as server:
        server.up("checkpoint.taken")
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        task = server.said(lambda client: client.create_task("repo", "Make it.", **WISH))["id"]
        server.until(task, "waiting")
        server.said(lambda client: client.retry_task(task))
        second = server.until(task, "waiting")["result_commit"]
        before = points_of(server, task)
        first = dict(before)["attempt 1"]
        number = [label for label, _ in before].index("attempt 1") + 1
        server.refused(lambda client: client.take_checkpoint(task, "mine", key="mine"))

        # The ref that keeps what there was is there, and nothing else.
        server.up("checkpoint.kept")
        for _ in range(2):
            taken = server.said(lambda c: c.take_checkpoint(task, "mine", key="mine"))
            assert taken["n"] == len(before) + 1
        server.refused(lambda client: client.restore_checkpoint(task, number))

        # The work has gone back, and the branch that shows it not yet.
        server.up("checkpoint.put_back")
        assert points_of(server, task) == [*before, ("mine", second)]
        assert server.said(lambda client: client.get_task(task))["result_commit"] == second
        server.refused(lambda client: client.restore_checkpoint(task, number))

        server.up("task.create.before_commit")
        way = (f"before going back to {number}", second)
        assert points_of(server, task) == [*before, ("mine", second), way]
        for _ in range(2):
            found = server.said(lambda client: client.restore_checkpoint(task, number))
            assert found["result_commit"] == first == git(repo, "rev-parse", found["branch"])
        assert points_of(server, task)[-1] == way
        server.refused(lambda client: client.fork_task(task, number, key="fork"))

        server.up()
        made = [server.said(lambda c: c.fork_task(task, number, key="fork")) for _ in range(2)]
        assert made[0]["id"] == made[1]["id"]
        assert server.until(made[0]["id"], "waiting")["base_commit"] == found["base_commit"]
        assert len(server.said(lambda client: client.list_tasks())["items"]) == 2


def recorded(server: Mortal) -> list[Any]:
    """The events about what became of work."""
    return server.said(lambda client: client.list_events(type="outcome.recorded"))["items"]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_what_became_of_work_is_kept_once_through_kills(home: Path, tmp_path: Path):
    repo = make_repo(tmp_path / "repo", CALC)
    works(home, "date +%N > made.txt", "full")
    with mortal(home) as server:
        server.up("outcome.before_commit")
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        task = server.said(lambda client: client.create_task("repo", "Make it.", **WISH))["id"]
        merged = server.until(task, "completed")["merged_commit"]
        # A person's word.
        server.refused(lambda client: client.tell_outcome(task, "right", "it works"))
        server.up()
        assert server.said(lambda client: client.get_task(task))["outcomes"] == []
        for _ in range(2):
            server.said(lambda client: client.tell_outcome(task, "right", "it works"))
        (kept,) = server.said(lambda client: client.get_task(task))["outcomes"]
        assert (kept["shown"], kept["right"]) == ("said", True)
        assert len(recorded(server)) == 1
        # What muster finds itself, when it looks back at its start.
        other = server.said(lambda client: client.create_task("repo", "Make it.", **WISH))["id"]
        merged = server.until(other, "completed")["merged_commit"]
        assert muster(home, "down").code == 0
        git(repo, "revert", "--no-edit", "-m", "1", merged)
        server.up("outcome.before_commit")
        server.dead()
        server.up()
        deadline = time.monotonic() + 180
        while not (found := server.said(lambda client: client.get_task(other))["outcomes"]):
            assert time.monotonic() < deadline, "nobody looks back"
            time.sleep(0.2)
        assert [(one["shown"], one["right"]) for one in found] == [("reverted", False)]
        assert len(recorded(server)) == 2
