"""A hostile agent tries what it must not, in each place that contains: refused, and each told."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents.small_acp import speaks_acp
from contracts.ssh_place import HOME, FarBox, Sshd
from engine.houses import Town, git, shell, town

SECRET = "what-nobody-else-may-see"
PRIES = """
import subprocess
def turn(number, prompt):
    seen = []
    for n, command in enumerate(COMMANDS):
        call = {"toolCallId": f"c{n}", "kind": "execute", "rawInput": {"command": command}}
        update(sessionUpdate="tool_call", **call, status="in_progress")
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
        seen.append(done.stdout)
        update(sessionUpdate="tool_call_update", toolCallId=f"c{n}", status="completed")
    open("seen.txt", "w").write("".join(seen) + "|")
    end(number)
"""

TRIES = """
import glob, os, shutil, socket, subprocess, sys, urllib.request
person, muster, others, port = sys.argv[1:]
seen = []
def attempt(act):
    try: seen.append(str(act()))
    except (OSError, subprocess.SubprocessError): pass
def read(path):
    with open(path, "rb") as file: return file.read(1000)
def call(*where):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("/run/docker.sock"); s.sendall(b"GET /info HTTP/1.0\\r\\n\\r\\n")
        return s.recv(1000)
def reach(host, port): socket.create_connection((host, int(port)), 5); return "REACHED"
attempt(lambda: read(person + "/.ssh/id_ed25519"))
attempt(lambda: [read(path) for path in glob.glob(others + "/*/out")])
attempt(lambda: os.listdir(others))
for path in glob.glob("/proc/[0-9]*/environ"): attempt(lambda: read(path))
attempt(lambda: read(muster + "/token"))
attempt(lambda: reach("127.0.0.1", port))
attempt(lambda: urllib.request.urlopen("http://169.254.169.254/", timeout=5).read() + b"REACHED")
attempt(lambda: reach("169.254.169.254", 80))
attempt(call)
attempt(lambda: subprocess.run(["git", "config", "filter.x.clean", "x"], stderr=-3).returncode)
os.symlink(person + "/.ssh/id_ed25519", "up")
attempt(lambda: read("up"))
attempt(lambda: read("/dev/vda"))
attempt(lambda: os.mknod("disk", 0o60600, os.makedev(254, 0)) or "REACHED")
subprocess.run(["python3", "-c", "b'x' * 1_000_000_000"], stderr=-3)
for _ in range(10_000):
    try:
        if os.fork() == 0: os.execv("/bin/sleep", ["sleep", "600"])
    except OSError: break
with open("seen.txt", "w") as file: file.write(" ".join(seen))
"""
"""One program that tells nobody what it does, and all that it tries."""
FILLS = "for n in $(seq 40); do head -c 1000000 /dev/zero > $n; done; sleep 600"


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of whoever runs muster, with what is nobody's business."""
    home = tmp_path / "people" / "ann"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text(SECRET)
    monkeypatch.setenv("HOME", str(home))
    return home


def attempts(home: Path, person: Path) -> dict[str, list[str]]:
    """What is tried, by the word of the event that tells of it."""
    return {
        "person": [f"cat {person}/.ssh/id", "cat /etc/shadow", f"ln -s {person} up; cat up/*/id"],
        "agent": [f"cat {home}/runs/other/out", f"ls -A {home}/workspaces/spaces/other"],
        "muster": [f"cat {home}/token", f"strings {home}/muster.db; cat {home}/muster.db"],
        "process": ["cat /proc/1/environ | tr '\\\\0' '\\\\n' | grep MUSTER_HOME"],
        "engine": ["curl -s --unix-socket /run/docker.sock http://d/info | grep -v muster:"],
        "device": ["mknod disk b 254 0 && ls disk", "head -c 9 /dev/vda"],
        "metadata": ["curl -sf http://169.254.169.254/latest"],
        "git": ["git config core.hooksPath /tmp/hooks >/dev/null 2>&1"],
    }  # fmt: skip


@pytest.fixture
async def sshd(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sshd]:
    monkeypatch.setenv(HOME, str(home))
    server = Sshd(home.with_name(f"{home.name}-s"))
    server.start()
    server.trust(home)
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


PLACES = [
    pytest.param("sandbox", marks=pytest.mark.needs_bubblewrap),
    pytest.param("docker", marks=pytest.mark.needs_docker),
    pytest.param("ssh:box", marks=[pytest.mark.needs_sshd, pytest.mark.needs_bubblewrap]),
]


@pytest.fixture(params=PLACES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Each place by name, with the engine or the server that it needs."""
    needs = {"docker": "docker_engine", "ssh:box": "sshd"}
    if request.param in needs:
        request.getfixturevalue(needs[request.param])
    return str(request.param)


async def test_each_attempt_is_refused_and_is_an_event_of_its_task(
    runtime: str, tmp_path: Path, person: Path
) -> None:
    home = tmp_path / "home"
    (home / "runs" / "other").mkdir(parents=True)
    (home / "runs" / "other" / "out").write_text(SECRET)
    (home / "workspaces" / "spaces" / "other").mkdir(parents=True)
    (home / "workspaces" / "spaces" / "other" / SECRET).touch()
    wanted = attempts(home, person)
    commands = [command for words in wanted.values() for command in words]
    pries = {
        "driver": "acp",
        "command": ["python3", *speaks_acp(PRIES, COMMANDS=commands)[1:]],
    }
    async with town(tmp_path, {"pries": pries}, test_command="true", max_attempts=1) as place:
        if runtime == "ssh:box":
            place.house.tools.runtimes["ssh:box"] = FarBox()  # type: ignore[index]
            place.service._own.runtime_names |= {"ssh:box"}
        (home / "token").write_text(SECRET)
        task = await place.do("pries", type="chore", runtime=runtime)
        # The link out of the tree is in the work, and a person is asked.
        (verdict,) = task["verdicts"]
        assert (task["status"], {f["code"] for f in verdict["findings"]} & {"change.link"}) == (
            "waiting",
            {"change.link"},
        )
        assert {"merge", "retry"} <= set(task["breakpoint"]["options"]), task["breakpoint"]
        await place.service.resolve_breakpoint(task["breakpoint"]["id"], "merge")
        assert (await place.until(task["id"], "completed", "failed"))["status"] == "completed"
        seen = git(place.repo, "show", "main:seen.txt")
        assert seen.strip() == "|"
        await told(place, task["id"], wanted)
        if runtime == "ssh:box":
            await place.house.tools.runtimes["ssh:box"].close()


async def told(place: Town, task: str, wanted: dict[str, list[str]]) -> None:
    """Each kind of attempt is told with its place, each once, with the place it was made in."""
    found = (await place.service.list_events(0, type="containment.tried"))["items"]
    assert {event["payload"]["what"] for event in found} == set(wanted)
    assert {event["task_id"] for event in found} == {task}
    places = [(event["payload"]["what"], event["payload"]["place"]) for event in found]
    assert len(places) == len(set(places)) == 13, places
    trail = (await place.service.get_task(task))["trail"]
    assert any("was used on muster's own files" in line["text"] for line in trail)
    assert json.dumps(found).count("execute") >= len(places)


@pytest.mark.parametrize(
    "runtime",
    [PLACES[0], *(pytest.param(*p.values, marks=[*p.marks, pytest.mark.long]) for p in PLACES[1:])],
    indirect=True,
)
async def test_what_any_program_tries_is_refused_and_heard(
    runtime: str,
    tmp_path: Path,
    person: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("OF_THE_SERVER", SECRET)
    home = tmp_path / "home"
    mine, far = person, home
    if runtime == "ssh:box":
        mine = request.getfixturevalue("sshd").far
        far = mine / ".local" / "share" / "muster-far"
        (mine / ".ssh").mkdir()
    (mine / ".ssh" / "id_ed25519").write_text(SECRET)
    (home / "runs" / "other").mkdir(parents=True)
    (home / "runs" / "other" / "out").write_text(SECRET)
    limits = {"disk_mb": 20, "memory_mb": 300, "processes": 100}
    with socket.create_server(("127.0.0.1", 0)) as service:
        words = (str(mine), str(far), f"{far}/runs", str(service.getsockname()[1]))
        agents = {
            "tries": {"driver": "command", "command": ["python3", "-c", TRIES, *words]},
            "fills": shell(FILLS),
        }
        options = {"test_command": "true", "max_attempts": 1, "network": "example.org", **limits}
        async with town(tmp_path, agents, **options) as place:
            if runtime == "ssh:box":
                place.house.tools.runtimes["ssh:box"] = FarBox()  # type: ignore[index]
                place.service._own.runtime_names |= {"ssh:box"}
            (home / "token").write_text(SECRET)
            task = await place.do("tries", type="chore", runtime=runtime)
            (verdict,) = task["verdicts"]
            assert "change.link" in {finding["code"] for finding in verdict["findings"]}
            await place.service.resolve_breakpoint(task["breakpoint"]["id"], "merge")
            await place.until(task["id"], "completed", "failed")
            seen = git(place.repo, "show", "main:seen.txt")
            assert seen
            assert SECRET not in seen
            assert "REACHED" not in seen
            filled = await place.do("fills", type="chore", runtime=runtime)
            assert filled["status"] == "failed"
            looked = await _payloads(place, "access.refused")
            # The first process of a container cannot be opened, so nobody hears of who tried.
            heard = {"file", "engine", "device", "git", "port", "connection"}
            assert {one["kind"] for one in looked} == heard | (
                set() if runtime == "docker" else {"process"}
            )
            what = {one["what"] for one in looked if one["kind"] == "file"}
            assert what == {f"{mine}/.ssh/id_ed25519", f"{far}/token", f"{far}/runs"}
            assert [one["host"] for one in await _payloads(place, "network.refused")] == [
                "169.254.169.254"
            ]
            reached = {one["limit"] for one in await _payloads(place, "limit.reached")}
            assert reached == {"processes", "memory", "disk"}
            if runtime == "ssh:box":
                await place.house.tools.runtimes["ssh:box"].close()


async def _payloads(place: Town, kind: str) -> list[dict[str, Any]]:
    found = (await place.service.list_events(0, type=kind))["items"]
    return [event["payload"] for event in found]
