"""Nothing is set: where agents run then, what they are kept from, and what they are lent."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.houses import Town, git, shell, town
from muster.agents.command import CommandDriver
from muster.domain.errors import Invalid
from muster.runtimes.sandbox import SandboxRuntime

contained = pytest.mark.needs_bubblewrap
DEFAULT = {"runtime": None, "test_command": "true"}
PRIES = """
import os, socket, sys, urllib.request
person, home, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ.update(no_proxy="", NO_PROXY="")
seen = []
for path in (f"{person}/.ssh/id", f"{person}/diary", f"{home}/token", f"{home}/muster.db"):
    try:
        seen += filter(None, [open(path).read()])
    except OSError:
        pass
for folder in (person, home):
    try:
        known = ("runs", "workspaces", "own")
        seen += [
            os.path.join(at, name)
            for at, _, names in os.walk(folder)
            for name in names
            if not any(f"/{one}" in at[len(folder) :] for one in known)
            and os.path.getsize(os.path.join(at, name))
        ]
    except OSError:
        pass
try:
    socket.create_connection(("127.0.0.1", port), 5)
    seen.append("the loopback")
except OSError:
    pass
try:
    seen.append(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode())
except OSError:
    pass
open("seen.txt", "w").write("\\n".join(seen) + "|")
"""


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of whoever runs muster, with what is nobody's business."""
    home = tmp_path / "people" / "ann"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text("a private key")
    (home / "diary").write_text("dear diary")
    (home / "own").mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def own_program(path: Path, text: str) -> str:
    """A program in somebody's home, as its whole path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@contained
async def test_an_agent_sees_no_home_no_token_and_no_loopback_of_anybody(tmp_path, person):
    (person / "own" / "pries.py").write_text(PRIES)
    with socket.create_server(("127.0.0.1", 0)) as listens:
        port = listens.getsockname()[1]
        tried = (str(person / "own" / "pries.py"), str(person), str(tmp_path / "home"), str(port))
        agents = {"pries": {"driver": "command", "command": ["/usr/bin/env", "python3", *tried]}}
        async with town(tmp_path, agents, **DEFAULT) as place:
            task = await place.do("pries", type="chore")
            assert task["status"] == "completed", task["reason"]
            assert git(place.repo, "show", "main:seen.txt") == "|"
            assert task["agents"][0]["runtime"] == "sandbox"
            project = await place.service.get_project("repo")
            assert (project["settings"]["runtime"], project["sources"]["runtime"]) == (
                "sandbox",
                "default",
            )
            health = await place.service.health()
            assert health["runtime"]["name"] == "sandbox"
            assert not health["runtime"]["mend"]
            events = (await place.service.list_events(0, type="network.refused"))["items"]
            assert [e["payload"]["port"] for e in events] == [port]
            looked = (await place.service.list_events(0, type="access.refused"))["items"]
            whats = {e["payload"]["what"] for e in looked}
            assert {str(tmp_path / "home" / "token"), str(person / ".ssh")} <= whats


@contained
@pytest.mark.parametrize("where", ["bin/mine", "own/mine", ".local/bin/mine", ".hidden/x/mine"])
async def test_an_agent_of_ones_own_works_from_wherever_it_lies_in_the_home(
    tmp_path, person, where
):
    mine = own_program(person / where, "#!/bin/sh\necho x > done.txt\n")
    async with town(tmp_path, {"mine": {"command": [mine]}}, **DEFAULT) as place:
        task = await place.do("mine", type="chore")
        assert task["status"] == "completed", task["reason"]


@contained
async def test_setup_and_tests_run_where_the_agent_does_with_the_programs_they_name(
    tmp_path, person
):
    tool = own_program(person / "venv" / "bin" / "tool", "#!/bin/sh\ncat $HOME/../../token\ntrue\n")
    (person / "venv" / "pyvenv.cfg").write_text("")
    unseen = f"test ! -e {person}/diary && test ! -s {tmp_path}/home/token"
    setup = {"setup_command": f"{unseen} && {tool} > made.txt"}
    tests = {"test_command": f"{unseen} && test -e made.txt && {tool}"}
    async with town(
        tmp_path, {"works": shell("echo x > new.txt")}, **{**DEFAULT, **setup, **tests}
    ) as place:
        task = await place.do("works", type="chore")
        assert task["status"] == "completed", task["reason"]


# --- what is kept out is told ---------------------------------------------------------------------


@contained
async def test_a_check_says_what_was_refused_to_it_and_runs_anew_when_it_is_let(tmp_path, person):
    (person / "lib").mkdir()
    (person / "lib" / "data").write_text("x")
    asks = (
        "python3 -c \"import urllib.request as u; u.urlopen('http://index.invalid/', timeout=9)\";"
        f" cat {person}/lib/data"
    )
    async with town(
        tmp_path,
        {"works": shell("echo x > new.txt")},
        **{**DEFAULT, "test_command": asks},
        max_attempts=1,
    ) as place:
        await place.service.change_project("repo", {"settings": {"network": "kept.example"}})
        first = await place.do("works", type="bug")
        said = json.dumps(first["verdicts"])
        assert "its network refused index.invalid" in said
        assert "muster project set repo network kept.example,index.invalid" in said
        shown = {"settings": {"readable": [str(person / "lib")]}}
        await place.service.change_project("repo", shown)
        second = await place.do("works", type="bug")
        found = [f["evidence"].get("runs", ()) for v in second["verdicts"] for f in v["findings"]]
        assert {(run["name"], run["exit_code"]) for runs in found for run in runs} >= {
            ("base", 0),
            ("result", 0),
        }


@contained
async def test_a_program_that_is_here_and_not_shown_is_named_with_the_setting(tmp_path, person):
    hidden = own_program(person / ".hidden" / "tool", "#!/bin/sh\ntrue\n")
    calls = shell(f'T={hidden}; "$T" && echo x > new.txt')
    async with town(tmp_path, {"calls": calls}, max_attempts=1, **DEFAULT) as place:
        task = await place.do("calls", type="chore")
        (agent,) = task["agents"]
        assert f"{hidden} is on this machine and is not shown to a contained run" in agent["reason"]
        assert f"muster project set repo readable {hidden} " in agent["reason"]
        await place.service.change_project("repo", {"settings": {"readable": hidden}})
        assert (await place.do("calls", type="chore"))["status"] == "completed"


@contained
async def test_an_agent_that_failed_says_which_host_it_was_refused(tmp_path):
    ask = "import urllib.request as u; u.urlopen('http://model.invalid:81/', timeout=9)"
    asks = shell(f'python3 -c "{ask}"')
    async with town(tmp_path, {"asks": asks}, max_attempts=1, **DEFAULT) as place:
        task = await place.do("asks", type="chore")
        (agent,) = task["agents"]
        assert "muster project set repo network model.invalid:81" in agent["reason"]


@contained
async def test_nobody_can_have_musters_own_home_shown(tmp_path):
    agents = {"works": shell("true", readable=[str(tmp_path)])}
    async with town(tmp_path, agents, max_attempts=1, **DEFAULT) as place:
        task = await place.do("works", type="chore")
        assert task["status"] != "completed"
        assert "muster keeps its own files there" in task["reason"]
        with pytest.raises(Invalid, match="whole paths"):
            await place.service.change_project("repo", {"settings": {"readable": "../x"}})


# --- the sign-in that is lent ---------------------------------------------------------------------


class Signed(CommandDriver):
    """A program that looks for the person's sign-in in its own home."""

    def launch(self, job):
        own = Path(job.environ["HOME"], ".mine")
        lent = {job.home / "conf" / n: own / n for n in ("login.json", "gone.json")}
        return replace(super().launch(job), logins=lent if job.contained else {})


def signed(script: str, **env: str) -> dict[str, Any]:
    """An own agent that signs in and is a shell script."""
    return {"driver": "signed", "command": ["/bin/sh", "-c", script], "env": env}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the home of muster."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        assert Path(folder).stat().st_dev != tmp_path.stat().st_dev
        yield Path(folder)


LOGIN = {"token": "the-first-token", "expires": 1}
RENEWED = '{"token": "another-token", "expires": 2}'


WRITES = f"echo '{RENEWED}' > login.json"
REPLACES = f"echo '{RENEWED}' > new && mv new login.json"


@contained
@pytest.mark.parametrize(
    ("how", "kept", "apart"),
    [
        pytest.param(WRITES, "another-token", False, id="written"),
        pytest.param(WRITES, "another-token", True, id="written on another disk"),
        pytest.param(REPLACES, "another-token", False, id="replaced"),
        pytest.param(REPLACES, "another-token", True, id="replaced on another disk"),
        pytest.param("rm login.json; echo x > login.json", "the-first-token", False, id="spoilt"),
        pytest.param(
            "rm login.json; echo '{\"key\": 1}' > login.json", "the-first-token", False,
            id="of another kind",
        ),
        pytest.param("ln -sf /etc/passwd login.json", "the-first-token", False, id="a link"),
        pytest.param(
            "cd ..; mv conf away; ln -s $OUT conf", "the-first-token", False,
            id="in a folder linked to",
        ),
    ],
)  # fmt: skip
async def test_a_sign_in_is_lent_alone_and_what_was_renewed_is_not_lost(
    tmp_path, person, elsewhere, how, kept, apart
):
    if apart:
        (person / ".mine").symlink_to(elsewhere)
    else:
        (person / ".mine").mkdir()
    login = (person / ".mine").resolve() / "login.json"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "login.json").write_text(RENEWED)
    login.write_text(json.dumps(LOGIN))
    (login.parent / "history").write_text("of nobody's business")
    script = (
        f"T=$PWD; cat {login.parent}/history; cd $HOME/conf || exit 1; cat login.json; {how};"
        ' cd "$T"; echo x > done.txt'
    )
    agents = {"signed": signed(script, OUT=str(outside))}
    async with town(tmp_path, agents, **DEFAULT) as place:
        place.house.tools.drivers["signed"] = Signed()
        task = await place.do("signed", type="chore")
        assert task["status"] == "completed", task["reason"]
        assert json.loads(login.read_text())["token"] == kept
        kept_aside = "away" in how
        assert login.stat().st_nlink == 1 + kept_aside, "an agent that has ended still has it"
        out = (place.run_dir(task["agents"][0]["id"]) / "out").read_text()
        assert "expires" in out
        assert "the-first-token" not in out
        assert "business" not in out


@contained
async def test_a_sign_in_that_the_person_renewed_meanwhile_is_left_as_it_is(tmp_path, person):
    login = person / ".mine" / "login.json"
    login.parent.mkdir()
    login.write_text(json.dumps(LOGIN))
    script = (
        f"cd $HOME/conf && echo '{RENEWED}' > new && mv new login.json;"
        ' cd "$OLDPWD"; echo x > done.txt; while [ ! -e go ]; do sleep 0.05; done'
    )
    async with town(tmp_path, {"signed": signed(script)}, **DEFAULT) as place:
        place.house.tools.drivers["signed"] = Signed()
        task = await place.submit("signed", type="chore")
        async with asyncio.timeout(60):
            while not list(place.home.glob("workspaces/spaces/*/tree/done.txt")):
                await asyncio.sleep(0.02)
        (login.parent / "theirs").write_text('{"token": "theirs", "expires": 3}')
        (login.parent / "theirs").replace(login)
        (tree,) = place.home.glob("workspaces/spaces/*/tree")
        (tree / "go").touch()
        assert (await place.until(task["id"]))["status"] == "completed"
        assert json.loads(login.read_text())["token"] == "theirs"


# --- where nothing can contain them ---------------------------------------------------------------


class Unable(SandboxRuntime):
    """A sandbox on a machine that has nothing to make one with."""

    def available(self):
        return "bubblewrap is not installed"


class Described(SandboxRuntime):
    """A sandbox that counts how often somebody wants to know what it is like."""

    times = 0

    def describe(self):
        self.times += 1
        return super().describe()


async def put_in_place(place: Town, sandbox: SandboxRuntime) -> None:
    """Have this one tried when a place is next asked for."""
    await place.house.tools.usual_place()
    place.house.tools.runtimes["sandbox"] = sandbox
    place.house.tools.usual = None


async def test_a_machine_that_cannot_contain_agents_says_so_and_works(tmp_path, caplog):
    caplog.set_level(logging.INFO, "muster.engine")
    async with town(tmp_path, {"works": shell("echo x > new.txt")}, **DEFAULT) as place:
        await put_in_place(place, Unable())
        task = await place.do("works", type="chore")
        assert task["status"] == "completed", task["reason"]
        assert task["agents"][0]["runtime"] == "process"
        told = (await place.service.health())["runtime"]
        assert told["name"] == "process"
        assert "not contained, because bubblewrap is not installed" in told["told"]
        assert "install bubblewrap" in told["mend"]
    assert "not contained, because bubblewrap is not installed" in caplog.text


@contained
async def test_it_is_tried_once_however_many_tasks_there_are(tmp_path):
    sandbox = Described()
    async with town(tmp_path, {"works": shell("echo x > $MUSTER_TASK")}, **DEFAULT) as place:
        await put_in_place(place, sandbox)
        for _ in range(3):
            assert (await place.do("works", type="chore"))["status"] == "completed"
        await sandbox.close()
    # Each agent is told how it is contained; the choice itself asks once.
    assert sandbox.times == 3 + 1


async def test_what_is_set_goes_before_the_default(tmp_path):
    async with town(tmp_path, {"works": shell("echo x > new.txt")}, test_command="true") as place:
        task = await place.do("works", type="chore")
        assert task["agents"][0]["runtime"] == "process"
