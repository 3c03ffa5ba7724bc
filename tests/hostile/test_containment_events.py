"""A hostile agent tries what it must not, in each place that contains: refused, and each told."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.ssh_place import HOME, FarBox, Sshd
from engine.houses import Town, git, town

SECRET = "what-nobody-else-may-see"
PRIES = """
import json, subprocess, sys
def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
    sys.stdout.flush()
for line in sys.stdin:
    message = json.loads(line)
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        say({"id": number, "result": {"protocolVersion": 1}})
    elif method == "session/new":
        say({"id": number, "result": {"sessionId": "s-1"}})
    elif method == "session/prompt":
        seen = []
        for n, command in enumerate(COMMANDS):
            call = {"toolCallId": f"c{n}", "kind": "execute", "rawInput": {"command": command}}
            update = {"sessionUpdate": "tool_call", **call, "status": "in_progress"}
            say({"method": "session/update", "params": {"sessionId": "s-1", "update": update}})
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
            seen.append(done.stdout)
            over = {"sessionUpdate": "tool_call_update", "toolCallId": f"c{n}"}
            update = {**over, "status": "completed"}
            say({"method": "session/update", "params": {"sessionId": "s-1", "update": update}})
        open("seen.txt", "w").write("".join(seen) + "|")
        say({"id": number, "result": {"stopReason": "end_turn"}})
"""


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
        "engine": ["ls /var/run/docker.sock"],
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
        "command": ["python3", "-c", PRIES.replace("COMMANDS", repr(commands))],
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
