"""The whole walk in a sandbox: the agent does its work there, and is kept from the rest."""

from __future__ import annotations

import json

import pytest

from engine.houses import git, shell, town
from muster.engine.ran_into import tell_of_check
from muster.engine.tools import job_of
from muster.runtimes.rundir import RunDir
from muster.store.tasks import get_task

pytestmark = pytest.mark.needs_bubblewrap

WORKS = (
    "printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py; git add -A;"
    " git -c core.hooksPath=/dev/null commit -qm mine; git log --oneline | wc -l > count.txt;"
)
PRIES = (
    "ls {home}/muster.db {home}/runs/*/spec.json {repo} > seen.txt 2>/dev/null;"
    " cat {home}/token; echo x > {home}/planted;"
    " echo '[alias]' >> $(git rev-parse --git-dir)/config;"
    ' echo x > "$(git rev-parse --git-dir)/hooks/post-commit";'
    " python3 -c \"import urllib.request as u; u.urlopen('http://192.0.2.1:81/', timeout=5)\";"
)


async def test_work_is_done_checked_and_merged_in_a_sandbox_and_nothing_else_is_seen(tmp_path):
    script = WORKS + PRIES.format(home=tmp_path / "home", repo=tmp_path / "repo") + "true"
    async with town(
        tmp_path,
        {"pries": shell(script)},
        runtime="sandbox",
        test_command="python3 -B -m unittest -q",
    ) as place:
        task = await place.do("pries", type="chore")
        assert task["status"] == "completed", task["reason"]
        assert git(place.repo, "show", "main:count.txt") == "2"
        assert git(place.repo, "show", "main:seen.txt") == ""
        assert not (place.home / "planted").exists()
        agent = task["agents"][0]
        assert agent["runtime"] == "sandbox"
        events = (await place.service.list_events(0, type="network.refused"))["items"]
        assert [(e["payload"]["host"], e["payload"]["port"]) for e in events] == [("192.0.2.1", 81)]
        looked = (await place.service.list_events(0, type="access.refused"))["items"]
        told = {(e["payload"]["kind"], e["payload"]["what"], e["subject"]) for e in looked}
        runs, token = str(place.home / "runs"), str(place.home / "token")
        assert told == {("file", runs, agent["id"]), ("file", token, agent["id"])}
        assert len(looked) == len(told)
        trail = (await place.service.get_task(task["id"]))["trail"]
        assert any(line["text"].startswith(f"Kept from {place.home}/token") for line in trail)


@pytest.mark.parametrize("of_agent", [False, True], ids=["of the project", "of the agent"])
async def test_a_check_is_contained_like_the_agent(tmp_path, of_agent):
    tries = f"test ! -e {tmp_path / 'home' / 'muster.db'} && test -f calc.py"
    script = 'echo "$MUSTER_TASK" > "$MUSTER_TASK.txt"'
    grows = shell(script, runtime="sandbox") if of_agent else shell(script)
    place_of_project = {} if of_agent else {"runtime": "sandbox"}
    async with town(tmp_path, {"grows": grows}, test_command=tries, **place_of_project) as place:
        task = await place.do("grows", type="chore")
        assert task["status"] == "completed", task["reason"]


FORKS = (
    "import os\n"
    "for _ in range(10000):\n"
    "    try:\n"
    "        if os.fork() == 0: os.execv('/bin/sleep', ['sleep', '60'])\n"
    "    except OSError: break\n"
)


FILLS = "for n in $(seq 40); do head -c 1000000 /dev/zero > $n; done; "
LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("script", "limit", "status", "reason"),
    [
        pytest.param(
            f'python3 -c "{FORKS}"; echo x > x', "processes", "completed", "", id="processes"
        ),
        pytest.param(
            "echo x > x; python3 -c 'import os, signal; os.kill(os.getppid(), 25)'",
            *("file", "failed", "signal 25"),
            id="file",
        ),
        pytest.param(
            f"{FILLS} sleep 600; true", "disk", "failed", "than 20 MB of the disk; if", id="disk"
        ),
        pytest.param(
            "exec python3 -c 'b\"x\" * 1_000_000_000'",
            *("memory", "failed", "more memory than it may"),
            id="memory",
            marks=LONG,
        ),
    ],
)
async def test_a_limit_that_an_agent_runs_into_decides_and_is_an_event_of_its_task(
    tmp_path, script, limit, status, reason
):
    limits = {"disk_mb": 20, "memory_mb": 200, "processes": 100}
    async with town(
        tmp_path, {"greedy": shell(script)}, runtime="sandbox", max_attempts=1, **limits
    ) as place:
        task = await place.do("greedy", type="chore")
        assert task["status"] == status, task["reason"]
        (agent,) = task["agents"]
        assert reason in agent["reason"]
        events = (await place.service.list_events(0, type="limit.reached"))["items"]
        assert [(e["payload"]["limit"], e["subject"]) for e in events] == [(limit, agent["id"])]
        assert all(e["payload"]["text"] and e["task_id"] == task["id"] for e in events)


async def test_an_agent_and_its_checks_get_no_more_than_is_set(tmp_path):
    limits = {"disk_mb": 30, "memory_mb": 300, "processes": 90, "cpus": 0.5}
    async with town(
        tmp_path, {"works": shell("echo x > x")}, runtime="process", test_command="true", **limits
    ) as place:
        task = await place.do("works", type="chore")
        assert task["status"] == "completed", task["reason"]
        of_agent = place.run_dir(task["agents"][0]["id"])
        runs = [of_agent, *of_agent.glob("checks/result-*-0")]
        assert len(runs) > 1
        for run in runs:
            said = json.loads((run / "spec.json").read_text())["limits"]
            assert (said["cpus"], said["processes"]) == (0.5, 90)
            assert (said["memory_bytes"], said["disk_bytes"]) == (300_000_000, 30_000_000)


async def test_what_a_check_runs_into_is_told_once_as_events_of_its_task(tmp_path):
    tries = (
        "python3 -c \"import urllib.request as u; u.urlopen('http://192.0.2.1:81/', timeout=5)\";"
        f" cat {tmp_path}/home/token; test -e grown || exit 0; {FILLS} sleep 600; true"
    )
    async with town(
        tmp_path,
        {"grows": shell("touch grown")},
        runtime="sandbox",
        network="example.org",
        test_command=tries,
        max_attempts=1,
        disk_mb=20,
    ) as place:
        task = await place.do("grows", type="chore")
        assert task["status"] == "failed", task["reason"]
        found = [
            event
            for kind in ("limit.reached", "network.refused", "access.refused")
            for event in (await place.service.list_events(0, type=kind))["items"]
        ]
        said = {(e["type"], e["payload"]["check"]) for e in found}
        kinds = ("limit.reached", "network.refused", "access.refused")
        assert said >= {(kind, "result") for kind in kinds}
        assert ("limit.reached", "base") not in said
        assert {e["task_id"] for e in found} == {task["id"]}
        full = next(e for e in found if e["type"] == "limit.reached")
        assert full["payload"]["limit"] == "disk"
        trail = (await place.service.get_task(task["id"]))["trail"]
        assert any(line["text"].startswith("In the check result: Limit of disk") for line in trail)
        # A server that comes back in the middle of the checks reads them once more.
        tools = place.house.tools
        row = await tools.store.read(get_task, task["id"])
        run_dir = next(p for p in place.run_dir(task["agents"][0]["id"]).glob("checks/result-*-0"))
        exit_ = RunDir(run_dir).exit()
        await tell_of_check(tools, await job_of(tools, row), "result", run_dir, exit_)
        again = (await place.service.list_events(0, type="limit.reached"))["items"]
        assert len(again) == len([e for e in found if e["type"] == "limit.reached"])
