"""The server is killed at each step of a task's walk: it goes on there, and does nothing twice."""

from __future__ import annotations

import contextlib
import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from engine.houses import git, make_repo
from hostile.mortal import Mortal, mortal
from hostile.servers import muster, settings
from muster.domain.errors import Unreachable
from supervision.test_flaky import CALC, CONF, TEST

PYTEST = f"'{sys.executable}' -B -m pytest -q -p no:cacheprovider"
STEPS = (
    *("claim.before_commit", "attempt.prepared", "run.before_spawn", "run.after_spawn"),
    *("evidence.ran", "verdict.before_move", "verdict.moved"),
    *("merge.before_ref", "merge.after_ref"),
)
"""In the order in which a task meets them."""
FEW = ("evidence.ran",)


def coin(tally: Path) -> str:
    """A test that fails in its first run in the result, and in its second on the base."""
    return (
        "import pathlib\n\n\ndef test_coin():\n"
        "    which = 'result' if 'sub' in pathlib.Path('calc.py').read_text() else 'base'\n"
        f"    with open({str(tally)!r} + which, 'a') as file:\n        file.write('.')\n"
        f"    n = pathlib.Path({str(tally)!r} + which).stat().st_size\n"
        "    assert n != (1 if which == 'result' else 2)\n"
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "points", [FEW, pytest.param(STEPS, marks=pytest.mark.long)], ids=["few", "each"]
)
def test_a_task_is_done_once_and_whole_wherever_the_server_dies(
    home: Path, tmp_path: Path, points: tuple[str, ...]
):
    ledger, tally = tmp_path / "ledger", tmp_path / "tally-"
    does = f"echo run >> {ledger}; printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py"
    settings(
        home,
        'disk_floor_mb = 1\nruntime = "process"\nautonomy = "full"\n'
        f'[agents.work]\ndriver = "command"\ncommand = {json.dumps(["/bin/sh", "-c", does])}\n',
        evidence="flaky",
    )
    files = {"calc.py": CALC, "test_calc.py": TEST, "tests/test_coin.py": coin(tally), **CONF}
    repo = make_repo(tmp_path / "repo", files)
    with mortal(home) as server:
        server.up("task.create.before_commit")
        assert muster(home, "init", ".", "--yes", "--test", PYTEST, cwd=repo).code == 0
        wish = {"agent": "work", "type": "chore", "key": "once"}
        server.refused(lambda client: client.create_task("repo", "Subtract.", **wish))
        server.up(points[0])
        with contextlib.suppress(Unreachable):  # it may die before it has answered
            server.said(lambda client: client.create_task("repo", "Subtract.", **wish))
        server.dead(points[0])
        for point in points[1:]:
            server.up(point)
            server.dead(point)
        server.up()
        again = server.said(lambda client: client.create_task("repo", "Subtract.", **wish))
        task = server.until(again["id"], "completed", "failed", "waiting")
        assert task["status"] == "completed", task["reason"]
        assert (task["attempt"], len(task["agents"]), len(task["verdicts"])) == (1, 1, 1)
        told_once(server)
        remade = server.said(lambda client: client.try_policy("repo", {}))
        assert (remade["same"], remade["decisions"]) == (1, 1)
    assert ledger.read_text() == "run\n"
    # Planned runs, one each; the base is run until it has failed there too, the result three times.
    runs = {which: len(Path(f"{tally}{which}").read_text()) for which in ("base", "result")}
    assert runs == {"base": 2, "result": 4}
    codes = [finding["code"] for finding in task["verdicts"][0]["findings"]]
    assert {"tests.flaky", "tests.green"} <= set(codes)
    assert git(repo, "rev-parse", "main") == task["merged_commit"]
    assert git(repo, "status", "--porcelain") == ""
    assert "def sub" in (repo / "calc.py").read_text()


def told_once(server: Mortal) -> None:
    """Events have no gaps, and each step of the walk is one of them."""
    events = server.said(lambda client: client.list_events(limit=200))["items"]
    revs = sorted(event["rev"] for event in events)
    assert all(later == earlier + 1 for earlier, later in pairwise(revs))
    kinds = [event["type"] for event in events]
    for kind in ("task.created", "agent.started", "agent.ended", "verdict.reached", "merge.landed"):
        assert kinds.count(kind) == 1, (kind, kinds)
