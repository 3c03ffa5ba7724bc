"""The unit that a service manager is given: it fits the installation, and the server under it."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from house.patience import PATIENCE
from house.trees import ROOT
from muster.cli.main import main
from muster.cli.unit import Installation, unit_of
from muster.domain.errors import Invalid

ODD = """o%h $x 'q' "r" \\n;"""
SYSTEM = Installation(
    python="/opt/muster/bin/python",
    home=Path("/var/lib/muster"),
    path="/opt/muster/bin:/usr/local/bin:/usr/bin:/bin",
    user="muster",
)
OWN = Installation(
    python="/home/you/muster/bin/python",
    home=Path("/home/you/.local/share/muster"),
    path="/home/you/muster/bin:/home/you/.local/bin:/usr/local/bin:/usr/bin:/bin",
)
LATER = re.compile(r".*Unknown key '?DelegateSubgroup'?.*ignoring\.")
"""What a systemd before 254 says of what only later ones know."""

HARMFUL = (
    r"^(?:Private|Protect|Restrict|SystemCall|Memory|Read|Inaccessible|Bind|Mount|Temporary|Root"
    r"|Dynamic|Lock)\w+="
)


def printed(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """What the command prints."""
    assert main([*args[:2], "service", "print", *args[2:]]) == 0
    return capsys.readouterr().out


def values(unit: str, key: str) -> list[str]:
    """What a key is set to, with nothing that stands for something else."""
    found = re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)
    return [value.replace("%%", "%") for value in found]


def test_the_files_in_the_repository_are_what_is_printed():
    assert (ROOT / "deploy" / "muster.service").read_text() == unit_of(SYSTEM)
    assert (ROOT / "deploy" / "muster-user.service").read_text() == unit_of(OWN)


def test_the_page_of_operations_explains_lines_that_are_there():
    rows = re.findall(
        r"^\| (`\w+=.*?`) \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE
    )
    explained = [line for row in rows for line in re.findall(r"`([^`]+)`", row)]
    assert len(explained) > 8
    assert [line for line in explained if line not in unit_of(SYSTEM).splitlines()] == []


@pytest.mark.needs_systemd
@pytest.mark.parametrize("own", [True, False], ids=["user", "system"])
def test_systemd_understands_the_unit(
    own: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    home, unit = str(tmp_path / ODD), tmp_path / "muster.service"
    whose = ["--user"] if own else ["--run-as", "daemon"]
    given = ["--host", "127.0.0.1", "--allow-host", "box.example", "--port", "0"]
    unit.write_text(printed(capsys, "--home", home, *whose, *given))
    done = subprocess.run(
        ["systemd-analyze", *whose[:1][: int(own)], "verify", str(unit)],
        capture_output=True, text=True, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not LATER.fullmatch(line)] == []


@pytest.mark.needs_systemd
def test_a_fault_in_a_unit_is_seen(tmp_path: Path):
    unit = tmp_path / "muster.service"
    unit.write_text(unit_of(SYSTEM).replace("KillMode=process", "KillMode=proces"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert "KillMode" in done.stderr or "kill mode" in done.stderr


def test_the_unit_names_this_installation(home: Path, capsys: pytest.CaptureFixture[str]):
    unit = printed(capsys, "--home", str(home), "--user", "--port", "3021")
    (line,) = values(unit, "ExecStart")
    wanted = [sys.executable, "-P", "-m", "muster", "--home", str(home), "up", "--port", "3021"]
    assert shlex.split(line) == wanted
    (path,) = values(unit, "Environment")
    assert path.startswith("PATH=/")
    assert path.endswith("/bin")
    assert values(unit, "User") == []
    assert values(unit, "WantedBy") == ["default.target"]
    told = json.loads(printed(capsys, "--home", str(home), "--user", "--port", "3021", "--json"))
    assert told == {"name": "muster.service", "unit": unit}


def test_agents_outlive_the_server_and_their_sandboxes_can_be_made():
    """What would kill them with it, or give it files or calls that no sandbox can be made of."""
    for unit in (unit_of(SYSTEM), unit_of(OWN)):
        assert values(unit, "KillMode") == ["process"]
        assert values(unit, "OOMPolicy") == ["continue"]
        assert re.findall(HARMFUL, unit, re.MULTILINE) == []


def test_only_a_server_without_roots_rights_gives_up_the_rest_of_them():
    bounded = values(unit_of(SYSTEM), "CapabilityBoundingSet")
    root = Installation(SYSTEM.python, SYSTEM.home, SYSTEM.path, user="root")
    assert bounded == [""]
    assert values(unit_of(root), "CapabilityBoundingSet") == []
    assert values(unit_of(SYSTEM), "StateDirectory") == ["muster"]
    assert values(unit_of(OWN), "StateDirectory") == []


def test_what_no_unit_can_name_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(Invalid, match="unit"):
        unit_of(Installation("/usr/bin/python3", Path("/srv/two\nlines"), "/bin"))
    assert main(["service", "print", "--user", "--run-as", "daemon"]) == 2
    assert "leave out --user" in capsys.readouterr().err


def test_a_server_started_by_its_unit_is_ready_once_it_answers_and_says_when_it_ends(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    unit = printed(capsys, "--home", str(home / ODD), "--user", "--port", "0")
    argv = [word.replace("$$", "$") for word in shlex.split(*values(unit, "ExecStart"))]
    (path,) = values(unit, "Environment")
    env = {"NOTIFY_SOCKET": str(home / "notify"), "WATCHDOG_USEC": "100000"}
    env |= {"PATH": shlex.split(path)[0].removeprefix("PATH=")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(env["NOTIFY_SOCKET"])
        ear.settimeout(PATIENCE)
        with subprocess.Popen(
            argv, env={**os.environ, **env}, cwd="/", stderr=subprocess.DEVNULL
        ) as server:
            try:
                ready, _, url = ear.recv(4096).decode().partition("\nSTATUS=listens on ")
                assert ready == "READY=1"
                health = httpx.get(f"{url}/api/health", timeout=PATIENCE).json()
                assert health["pid"] == server.pid
                assert (home / ODD / "server.json").exists()
                assert ear.recv(4096) == b"WATCHDOG=1"
            finally:
                server.terminate()
            assert b"STOPPING=1" in iter(lambda: ear.recv(4096), b"")
        assert server.returncode == 0
