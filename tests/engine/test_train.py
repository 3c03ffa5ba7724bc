"""Several finished tasks on one branch: verified as the train that they will be, landed in turn."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from engine.houses import Town, commit, git, shell, town
from engine.pairs import SEMANTIC, TESTS, base, generated
from house.patience import PATIENCE
from muster.domain.errors import Conflict
from muster.engine.boarding import Car

LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
PAIRS = 40 if LONG else 8

RULE = "{ test ! -e old || test ! -e moved || test -e fix; } && ! test -e odd1 -a -e odd2"
"""The tests: `old` needs `fix` where there is `moved`, and there may be only one odd file."""


@asynccontextmanager
async def yard(root: Path, *names: str, **project: Any) -> AsyncIterator[tuple[Town, Path]]:
    """A town with an agent for each name, and a tally of test runs.

    An agent adds a file called like itself; one that is `NAME=FILE` another file.
    """
    tally = root / "tally"
    both = ((name, file or name) for name, _, file in (n.partition("=") for n in names))
    agents = {name: shell(f"echo {name} > {file}") for name, file in both}
    settings = {"test_command": f"echo run >> {tally}; {RULE}", "autonomy": "confirm", **project}
    async with town(root, agents, {"test_it": "x\n"}, max_attempts=1, **settings) as place:
        yield place, tally


@asynccontextmanager
async def boarded(place: Town, agents: Sequence[str], **more: Any) -> AsyncIterator[list[Any]]:
    """The accepted work of these agents, held up at a branch that has moved since.

    At the end of the block all of it goes at once.
    """
    made = [await place.submit(name, type="chore", title=name, **more) for name in agents]
    for task in made:
        await place.until(task["id"], "waiting")
    commit(place.repo, {"moved": ""})
    platform = place.house.tools.platform(f"{place.repo}/.git main")
    over = asyncio.Event()

    async def lead(leader: Car[Any], _waiting: Sequence[Car[Any]]) -> None:
        await over.wait()
        leader.left(Conflict("it is no task", hint="it only holds the others up"))

    holds_up = asyncio.create_task(platform.ride(Car(None, (-99, 0), 0), lead))
    async with asyncio.timeout(PATIENCE):
        for n, task in enumerate(made):
            await place.service.merge_task(task["id"])
            while len(platform.waiting) < n + 2:
                await asyncio.sleep(0.01)
    yield made
    over.set()
    await asyncio.gather(holds_up, return_exceptions=True)


async def ends(place: Town, tasks: Sequence[Mapping[str, Any]]) -> list[Any]:
    """How tasks ended, in order."""
    return [
        await place.until(t["id"], "completed", "failed", "waiting", "cancelled") for t in tasks
    ]


def merged(place: Town) -> list[str]:
    """The titles of what was merged, in order."""
    said = git(place.repo, "log", "--first-parent", "--reverse", "--format=%s", "main")
    return [line.split(": ")[1] for line in said.splitlines() if line.startswith("Merge")]


def runs(tally: Path) -> int:
    """How often the tests ran since this was asked last."""
    count = len(tally.read_text().splitlines())
    tally.write_text("")
    return count


async def test_a_train_is_checked_as_a_whole_and_lands_in_order_each_commit_tested_once(tmp_path):
    async with yard(tmp_path, "a", "b", "c") as (place, tally):
        place.pass_time(3600)  # the clock that says when a task came is not git's
        async with boarded(place, "abc") as tasks:
            runs(tally)
        done = await ends(place, tasks)
        assert [task["status"] for task in done] == ["completed"] * 3
        assert merged(place) == ["a", "b", "c"]
        # The branch as it was, and each of the three merges upon it.
        assert runs(tally) == 4
        heads = git(place.repo, "rev-list", "--first-parent", "--reverse", "-3", "main").split()
        assert [task["merged_commit"] for task in done] == heads
        # The same again after a crash, as they are of the time at which their tasks came.
        came = (await place.service.list_events(type="task.merging"))["items"]
        told = git(place.repo, "show", "-s", "--format=%ct", *heads).split()
        times = [datetime.fromisoformat(event["time"]).timestamp() for event in came]
        assert [int(second) for second in told] == list(map(int, times))
        assert git(place.repo, "status", "--porcelain") == ""


async def test_the_more_urgent_goes_first_and_a_train_has_only_so_many(tmp_path):
    async with yard(tmp_path, "a", "b", "c", merge_batch=2) as (place, _):
        async with boarded(place, "ab") as tasks:
            urgent = await place.submit("c", type="chore", title="c", priority=9)
            await place.until(urgent["id"], "waiting")
            await place.service.merge_task(urgent["id"])
            platform = place.house.tools.platform(f"{place.repo}/.git main")
            async with asyncio.timeout(PATIENCE):
                while len(platform.waiting) < 4:
                    await asyncio.sleep(0.01)
        await ends(place, [*tasks, urgent])
        assert merged(place) == ["c", "a", "b"]


async def test_the_one_that_is_red_with_one_before_it_leaves_and_the_others_land(tmp_path):
    async with yard(tmp_path, "a", "odd1", "b", "odd2", "c", merge_batch=8) as (place, tally):
        async with boarded(place, ["a", "odd1", "b", "odd2", "c"]) as tasks:
            runs(tally)
        done = await ends(place, tasks)
        assert merged(place) == ["a", "odd1", "b", "c"]
        (refused,) = (task for task in done if task["status"] != "completed")
        assert (refused["title"], refused["breakpoint"]["kind"]) == ("odd2", "conflict")
        assert "tests.broken" in {f["code"] for f in refused["verdicts"][-1]["findings"]}
        # The branch, five merges, the red one once more by itself, and the last one built anew.
        assert runs(tally) == 8


async def test_one_that_is_red_leaves_though_one_behind_it_would_mend_it(tmp_path):
    async with yard(tmp_path, "old", "fix") as (place, _):
        async with boarded(place, ["old", "fix"]) as tasks:
            pass
        done = await ends(place, tasks)
        assert [task["status"] for task in done] == ["waiting", "completed"]
        assert merged(place) == ["fix"]


async def test_what_conflicts_with_one_ahead_is_asked_about_with_the_branch_as_it_then_is(tmp_path):
    async with yard(tmp_path, "a", "c=a", "b") as (place, _):
        async with boarded(place, "acb") as tasks:
            pass
        done = await ends(place, tasks)
        assert [task["status"] for task in done] == ["completed", "waiting", "completed"]
        asked = done[1]["breakpoint"]
        assert asked["kind"] == "conflict"
        assert asked["evidence"]["target"] in {done[0]["merged_commit"], done[2]["merged_commit"]}
        assert asked["evidence"]["paths"][0]["ours"] == "a\n"


async def test_one_that_is_cancelled_leaves_and_the_others_land(tmp_path):
    async with yard(tmp_path, "a", "b", "c") as (place, _):
        async with boarded(place, "abc") as tasks:
            await place.service.cancel_task(tasks[1]["id"])
            async with asyncio.timeout(PATIENCE):
                await place.house.tools.wish(tasks[1]["id"]).wait()
        done = await ends(place, tasks)
        assert [task["status"] for task in done] == ["completed", "cancelled", "completed"]
        assert merged(place) == ["a", "c"]


async def test_a_branch_that_moves_meanwhile_has_the_train_made_anew(tmp_path):
    moves = f"touch {tmp_path}/once; git -C {tmp_path}/repo commit -q --allow-empty -m theirs"
    async with yard(tmp_path, "a", "b") as (place, _):
        async with boarded(place, "ab") as tasks:
            line = f"test -e {tmp_path}/once || {{ {moves}; }}; {RULE}"
            await place.service.change_project("repo", {"settings": {"test_command": line}})
        done = await ends(place, tasks)
        assert [task["status"] for task in done] == ["completed"] * 2
        assert (tmp_path / "once").exists()
        assert merged(place) == ["a", "b"]


@pytest.mark.timeout(600)
async def test_a_branch_is_green_at_every_commit_whatever_pairs_of_changes_meet(tmp_path):
    pairs = generated(seed=5, count=PAIRS)
    agents = {f"{p.folder}{n}": shell(s) for p in pairs for n, s in enumerate((p.one, p.other))}
    settings = {"test_command": TESTS, "max_attempts": 1, "max_concurrent": 100}
    async with town(tmp_path, agents, base(pairs), at_once=8, **settings) as place:
        start = place.main()
        made = {name: await place.submit(name, type="chore") for name in agents}
        done = {name: await place.until(task["id"]) for name, task in made.items()}
        came = sum(task["status"] == "completed" for task in done.values())
        assert green_commits(place.repo, start) == came
    for pair in pairs:
        two = [done[f"{pair.folder}{n}"] for n in range(2)]
        found = sorted(task["status"] for task in two)
        wanted = {"clean": ["completed", "completed"], "textual": ["completed", "waiting"]}
        assert found == wanted.get(pair.kind, ["completed", "failed"]), (pair, found)
        if pair.kind in SEMANTIC:
            (refused,) = (task for task in two if task["status"] == "failed")
            # It was accepted alone, and then refused together with what had landed.
            assert [d["step"] for d in refused["decisions"]] == ["accept", "give_up"], pair
            codes = {f["code"] for f in refused["verdicts"][-1]["findings"]}
            assert "tests.broken" in codes, (pair, codes)


def green_commits(repo: Path, since: str) -> int:
    """Check out every commit that the branch was at, and run its tests; how many there were."""
    commits = git(repo, "rev-list", "--first-parent", "--reverse", f"{since}..main").split()
    for one in commits:
        git(repo, "checkout", "-q", "--detach", one)
        done = subprocess.run(["/bin/sh", "tests/run.sh"], cwd=repo, check=False)
        assert done.returncode == 0, git(repo, "log", "-3", "--oneline", one)
    return len(commits)
