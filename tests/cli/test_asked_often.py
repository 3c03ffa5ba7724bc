"""Lists that are asked for all the time: the same words as the long way, or the long way itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.client.loopback import TOKEN, Answer, Loopback, problem

from muster.cli import entry
from muster.cli.asked_often import answer
from muster.cli.folders import user_home
from muster.cli.main import main as read_line

LISTS = (["task", "list", "--json"], ["agent", "list", "--json"])


@pytest.fixture
def home(tmp_path: Path, server: Loopback) -> Path:
    """The state folder of a server that runs."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "token").write_text(f"{TOKEN}\n")
    (folder / "server.json").write_text(json.dumps({"url": server.url, "pid": os.getpid()}))
    return folder


def both(home: Path, line: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[Any, Any]:
    """How the command ends at once, and how it ends the long way: status and output."""
    ended = []
    for way in (entry.main, read_line):
        code = way([*line, "--home", str(home)])
        ended.append((code, capsys.readouterr().out))
    return ended[0], ended[1]


@pytest.mark.parametrize("line", LISTS)
def test_it_says_what_the_long_way_says_and_asks_what_that_asks(
    line: list[str], home: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer([*line, "--home", str(home)], {}) is not None
    server.asked.clear()
    at_once, long_way = both(home, line, capsys)
    assert at_once == long_way
    assert at_once[0] == 0
    asked = [(one.path, one.query) for one in server.asked]
    assert asked[: len(asked) // 2] == asked[len(asked) // 2 :]


@pytest.mark.parametrize(
    "wrong",
    [
        problem(401, "not_signed_in"),
        Answer(200, {"items": "none"}),
        Answer(200, ["no page"]),
        Answer(204),
    ],
)
def test_whatever_is_no_page_goes_the_long_way(wrong: Answer, home: Path, server: Loopback) -> None:
    server.routes["GET", "/api/agents"] = wrong
    assert answer(["agent", "list", "--json", "--home", str(home)], {}) is None


def test_a_folder_without_a_server_goes_the_long_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_once, long_way = both(tmp_path, ["task", "list", "--json"], capsys)
    assert at_once == long_way
    assert at_once[0] != 0


@pytest.mark.parametrize(
    "line",
    [
        ["task", "list"],
        ["task", "list", "--json", "--all"],
        ["task", "list", "--json", "--limit", "1"],
        ["event", "list", "--json"],
        ["task", "show", "list", "--json"],
    ],
)
def test_another_line_goes_the_long_way(line: list[str], home: Path) -> None:
    assert answer([*line, "--home", str(home)], {}) is None


def test_an_address_of_its_own_goes_the_long_way(home: Path) -> None:
    line = ["task", "list", "--json", "--home", str(home)]
    assert answer(line, {"MUSTER_URL": "http://127.0.0.1:1"}) is None
    assert answer(line, {"MUSTER_TOKEN": "another"}) is None


def test_the_usual_folder_is_the_one_that_the_long_way_takes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = home.parent
    home.rename(data / "muster")
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    assert user_home() == data / "muster"
    assert answer(["agent", "list", "--json"], {"HOME": "/nowhere", "XDG_DATA_HOME": str(data)})
    (data / ".local" / "share").mkdir(parents=True)
    (data / "muster").rename(data / ".local" / "share" / "muster")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(data))
    assert user_home() == data / ".local" / "share" / "muster"
    assert answer(["agent", "list", "--json"], {"HOME": str(data)})
