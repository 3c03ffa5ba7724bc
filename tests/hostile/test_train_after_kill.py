"""The server is killed while a train lands: all of it lands once, and nothing is tested twice."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from engine.houses import commit, git, make_repo
from hostile.mortal import mortal
from hostile.servers import PATIENCE, muster, settings

NAMES = ("first", "a", "b", "c")


@pytest.mark.timeout(600)
def test_a_train_lands_whole_wherever_the_server_dies(home: Path, tmp_path: Path):
    hold, held, tally = (tmp_path / name for name in ("hold", "held", "tally"))
    agents = "".join(
        f'[agents.{name}]\ndriver = "command"\n'
        f"command = {json.dumps(['/bin/sh', '-c', f'echo {name} > {name}'])}\n"
        for name in NAMES
    )
    settings(home, f'disk_floor_mb = 1\nruntime = "process"\nautonomy = "confirm"\n{agents}')
    tests = f"ls | xargs >> {tally}; while [ -e {hold} ]; do touch {held}; sleep 0.02; done"
    repo = make_repo(tmp_path / "repo", {"test_it": "x\n"})
    with mortal(home) as server:
        server.up("merge.before_ref=3")
        assert muster(home, "init", ".", "--yes", "--test", tests, cwd=repo).code == 0
        made = [
            server.said(lambda client, name=name: client.create_task("repo", name, agent=name))
            for name in NAMES
        ]
        for task in made:
            server.until(task["id"], "waiting")
        moved = commit(repo, {"moved": "x\n"})
        hold.touch()
        tally.write_text("")
        for task in made:
            server.said(lambda client, ref=task["id"]: client.merge_task(ref))
            wait_for(held)  # the first one is at its tests, and the others board
        hold.unlink()
        server.dead("before the second one of the train")
        assert len(landed(repo, moved)) == 2
        server.up("merge.after_ref=2")
        server.dead("after the branch had moved to the third one")
        heads = landed(repo, moved)
        commit(repo, {"later": "x\n"})
        server.up()
        done = [server.until(task["id"], "completed", "failed") for task in made]
    assert sorted(task["merged_commit"] for task in done) == sorted(heads)
    assert git(repo, "status", "--porcelain") == ""
    assert {(repo / name).read_text() for name in NAMES} == {f"{name}\n" for name in NAMES}
    runs = tally.read_text().splitlines()
    assert len(runs) == len(set(runs)), runs


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def landed(repo: Path, since: str) -> list[str]:
    """The commits that the branch was at after one."""
    return git(repo, "rev-list", "--first-parent", f"{since}..main").split()
