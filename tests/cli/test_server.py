"""Starting, finding, opening and stopping the server, and who is given which token."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.client import canned
from tests.client.loopback import TOKEN, Answer, Loopback

from hostile.servers import NO_PROGRAMS
from muster.cli import server as server_commands
from muster.cli.main import main
from muster.client.home import is_alive, running_server


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def muster(home: Path, *args: str, env: dict[str, str] | None = None) -> Done:
    """Run a command line as a program of its own on a home."""
    surroundings = {**os.environ, "MUSTER_HOME": str(home), **(env or {})}
    done = subprocess.run(
        [sys.executable, "-m", "muster", *args], capture_output=True, text=True, env=surroundings
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def real(home: Path) -> Iterator[Path]:
    """A home on which servers may be started; what still runs at the end is stopped."""
    yield home
    if running := running_server(home):
        down = muster(home, "down")
        if down.code:
            os.kill(running.pid, signal.SIGKILL)
        assert down.code == 0, down.err


def _point(home: Path, server: Loopback, pid: int) -> None:
    (home / "server.json").write_text(json.dumps({"url": server.url, "pid": pid}))
    (home / "token").write_text(TOKEN)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not the server."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


# --- up and down ----------------------------------------------------------------------------------


def test_a_server_on_its_own_is_started_found_and_stopped(real: Path) -> None:
    up = muster(real, "up", "--detach", "--port", "0", "--json")
    assert up.code == 0, up.err
    started = json.loads(up.out)
    status = json.loads(muster(real, "status", "--json").out)
    assert status["url"] == started["url"]
    assert "muster is ok" in muster(real, "status").out
    assert is_alive(started["pid"])

    again = muster(real, "up", "--detach", "--port", "0")
    assert again.code == 1
    assert "another muster runs" in again.err
    assert started["log"] in again.err

    down = json.loads(muster(real, "down", "--json").out)
    assert down == {"stopped": True, "pid": started["pid"]}
    assert not is_alive(started["pid"])
    assert muster(real, "status").code == 6
    assert muster(real, "down").out == "no server runs for this home\n"


def test_a_server_that_cannot_start_says_why(real: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = muster(real, "up", "--detach", "--port", str(port), "--host", "127.0.0.1")
    assert done.code == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.err
    assert (real / "server.log").stat().st_mode & 0o777 == 0o600


def test_a_server_for_others_needs_the_names_it_answers_to(real: Path) -> None:
    line = ["up", "--detach", "--port", "0", "--host", "0.0.0.0"]
    assert "--allow-host" in muster(real, *line).err
    assert muster(real, *line, "--allow-host", "box.example").code == 0


@pytest.mark.parametrize("health", [canned.health() | {"pid": 1}, None], ids=["other", "none"])
def test_a_process_that_is_not_the_server_is_not_stopped(
    health: object,
    home: Path,
    server: Loopback,
    bystander: subprocess.Popen[bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _point(home, server, bystander.pid)
    server.routes["GET", "/api/health"] = Answer(body=health) if health else Answer(404, {})
    if health is None:
        server.shutdown()
        server.server_close()
        server._thread.join()
    assert main(["--home", str(home), "down"]) == 5
    assert f"kill {bystander.pid}" in capsys.readouterr().err
    assert bystander.poll() is None


def test_a_server_that_does_not_stop_in_time_is_said_to_run_still(
    home: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        _point(home, server, stubborn.pid)
        assert main(["--home", str(home), "down", "--timeout", "0.1"]) == 8
        assert "still runs" in capsys.readouterr().err
        stubborn.kill()


def test_the_end_of_a_process_is_seen_without_its_handle_too(
    bystander: subprocess.Popen[bytes],
) -> None:
    assert not server_commands._ended_by_looking(bystander.pid, 0.1)
    bystander.kill()
    bystander.wait()
    assert server_commands._ended_by_looking(bystander.pid, 0.1)
    assert server_commands._ended(bystander.pid, 0.1)


def test_the_doctor_says_what_is_missing_and_how_to_get_it(home: Path) -> None:
    done = muster(home, "doctor", "--json", env=NO_PROGRAMS)
    told = json.loads(done.out)
    assert "limits" in {check["name"] for check in told["checks"]}
    assert done.code == int(not told["ok"])
    assert told["ok"] == all(check["state"] != "fail" for check in told["checks"])
    shown = muster(home, "doctor", env=NO_PROGRAMS).out
    for check in told["checks"]:
        assert check["name"] in shown
        assert check["state"] == "ok" or check["fix"] in shown


def test_the_doctor_names_each_agent_and_says_which_program_is_too_old(
    home: Path, tmp_path: Path
) -> None:
    for name, version in (("gemini", "0.1.2"), ("aider", "9.9.9")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)
    done = muster(
        home, "doctor", "--json", env={**NO_PROGRAMS, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    )
    told = {check["name"]: check for check in json.loads(done.out)["checks"]}
    old, new = told["agent gemini"], told["agent aider"]
    assert (old["state"], new["state"]) == ("warn", "ok")
    assert "0.1.2 is older than" in old["text"]
    assert "update it: npm install -g @google/gemini-cli" in old["fix"]
    assert "9.9.9" in new["text"]
    for name in ("opencode", "qwen", "mini"):
        assert (told[f"agent {name}"]["state"], told[f"agent {name}"]["text"]) == (
            "warn",
            "not found",
        )


# --- open -----------------------------------------------------------------------------------------


def test_the_browser_is_never_started_with_the_token(home: Path, server: Loopback) -> None:
    _point(home, server, os.getpid())
    seen = home / "seen"
    browser = home / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {seen}\n')
    browser.chmod(0o755)
    done = muster(home, "open", env={"BROWSER": str(browser)})
    assert (done.code, done.out) == (0, f"{server.url}\n")
    assert seen.read_text() == f"file://{home}/open.html\n"
    page = home / "open.html"
    assert page.stat().st_mode & 0o777 == 0o600
    assert f"url={server.url}/login#{TOKEN}" in page.read_text()
    assert TOKEN not in done.out + done.err


def test_the_sign_in_address_is_printed_only_when_asked_for(home: Path, server: Loopback) -> None:
    _point(home, server, os.getpid())
    assert muster(home, "open", "--print").out == f"{server.url}/login#{TOKEN}\n"
    told = json.loads(muster(home, "open", "--print", "--json").out)
    assert told == {"url": server.url, "opened": False, "login": f"{server.url}/login#{TOKEN}"}


def test_where_no_browser_opens_it_says_what_to_do(home: Path, server: Loopback) -> None:
    _point(home, server, os.getpid())
    done = muster(home, "open", env={"BROWSER": "false"})
    assert done.code == 0
    assert "--print" in done.err


# --- status, settings and tokens ------------------------------------------------------------------


def test_the_status_says_what_holds_work_back(
    home: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    _point(home, server, os.getpid())
    server.routes["GET", "/api/queue/settings"] = Answer(
        body=canned.settings(paused=True, processor=False)
    )
    server.routes["GET", "/api/health"] = Answer(body=canned.health() | {"status": "full"})
    assert main(["--home", str(home), "status"]) == 0
    said = capsys.readouterr().out
    assert "✗ muster is full" in said
    assert "queue_processor is off, paused; go on with: muster queue resume, at most 1" in said
    assert "9, the oldest for 1 h 1 min" in said
    assert "8 of 10 agents succeeded, half of the tasks within 4.0 s, $1.25" in said
    assert "MU-1 failed: the tests fail; go on with: muster queue resume" in said
    assert "1; see: muster inbox" in said


def test_the_environment_names_the_server_and_a_flag_wins(home: Path, server: Loopback) -> None:
    env = {"MUSTER_URL": server.url, "MUSTER_TOKEN": TOKEN}
    assert muster(home, "queue", "show", env=env).code == 0
    assert muster(home, "queue", "show", "--token", "wrong", env=env).code == 4
    wrong = {"MUSTER_URL": "http://127.0.0.1:1", "MUSTER_TOKEN": "wrong"}
    line = ["queue", "show", "--url", server.url, "--token", TOKEN]
    assert muster(home, *line, env=wrong).code == 0


def test_the_homes_token_goes_to_its_own_server_and_to_no_other_host(
    home: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    _point(home, server, os.getpid())
    line = ["--home", str(home), "queue", "show", "--url"]
    assert main([*line, server.url + "/"]) == 0
    assert main([*line, "http://localhost:" + server.url.rpartition(":")[2]]) == 0
    assert main([*line, "http://example.invalid:3020"]) == 4
    assert "MUSTER_TOKEN" in capsys.readouterr().err


def test_the_home_is_the_users_data_folder_unless_named(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "MUSTER_HOME": ""}
    done = muster(tmp_path, "status", env=env)
    assert done.code == 6
    assert str(tmp_path) in done.err
    assert done.err.rstrip().endswith("start it: muster up")
