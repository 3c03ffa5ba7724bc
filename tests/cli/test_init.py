"""`muster init`: what is guessed, what is asked, and that nothing is written into the checkout."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal
from tests.client import canned
from tests.client.loopback import Answer, Loopback

from muster.cli.indexes import indexes_of
from muster.cli.init import guess_test_command


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"pytest.ini": ""}, "python -m pytest -q"),
        ({"conftest.py": ""}, "python -m pytest -q"),
        ({"pyproject.toml": "[tool.pytest.ini_options]"}, "python -m pytest -q"),
        ({"requirements-dev.txt": "pytest>=8"}, "python -m pytest -q"),
        ({"tests/unit/test_x.py": ""}, "python -m pytest -q"),
        ({"package.json": '{"scripts": {"test": "vitest"}}'}, "npm test"),
        ({"package.json": '{"scripts": {"test": "echo no test specified"}}'}, None),
        ({"package.json": "{", "Makefile": "all:\n\ntest: all\n\tx"}, "make test"),
        ({"package.json": "[]", "Makefile": "latest: x\n"}, None),
        ({"package.json": '{"scripts": []}', "go.mod": "module x"}, "go test ./..."),
        ({"Cargo.toml": ""}, "cargo test"),
        ({"test.py": "", "pyproject.toml": "[project]"}, "python -m unittest"),
        ({"README.md": "x" * 300_000}, None),
        ({"pyproject.toml": "pytest" + "x" * 300_000}, None),
    ],
)
def test_the_test_command_is_guessed_from_the_files(
    files: dict[str, str], command: str | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert guess_test_command(tmp_path) == command


def test_yes_trusts_and_takes_the_guess_and_writes_nothing(
    run: Run, server: Loopback, git_repo: Callable[..., Path], git: Callable[..., str]
) -> None:
    repo = git_repo()
    (repo / "deep").mkdir()
    ended = run("init", str(repo / "deep"), "--yes")
    assert ended.code == 0
    assert server.asked[-1].body == {
        "path": str(repo / "deep"),
        "settings": {"test_command": "python -m pytest -q"},
        "trust": True,
    }
    (repo / "deep").rmdir()
    assert git(repo, "status", "--porcelain", "--ignored") == ""


def test_what_was_said_is_not_guessed(run: Run, server: Loopback, tmp_path: Path) -> None:
    line = [
        "init", str(tmp_path), "--yes", "--name", "n", "--branch", "b", "--test", "t", "--setup",
        "s", "--lint", "l", "--types", "y", "--agent", "a", "--json",
    ]  # fmt: skip
    assert json.loads(run(*line).out)["id"] == "prj_1"
    assert server.asked[-1].body == {
        "path": str(tmp_path), "name": "n", "branch": "b", "trust": True,
        "settings": {"test_command": "t", "setup_command": "s", "lint_command": "l",
                     "type_command": "y", "agent": "a"},
    }  # fmt: skip


@pytest.fixture
def managers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Package managers that know an index of their own; the folder that they are in."""
    folder = tmp_path / "managers"
    folder.mkdir()
    says = {
        "python3": "echo index.example files.example",
        "npm": 'test "$1 $2 $3" = "config get registry" && echo https://registry.example/',
        "go": "printf 'https://proxy.example:8443,direct\\nsum.example\\n'",
    }
    for name, words in says.items():
        (folder / name).write_text(f"#!/bin/sh\n{words}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize(
    ("command", "hosts"),
    [
        ("pip install -r requirements.txt", ["index.example", "files.example"]),
        ("npm ci && npm run build", ["registry.example"]),
        ("/usr/bin/uv sync; yarn", ["index.example", "files.example", "registry.example"]),
        ("go mod download", ["proxy.example:8443", "sum.example"]),
        ("pip install -i https://mirror.example:8443/simple x", ["mirror.example:8443"]),
        ("UV_INDEX_URL=http://[::1]:8080/simple uv sync", ["[::1]:8080"]),
        ("pip install x --extra-index-url https://more.example/whl",
         ["index.example", "files.example", "more.example"]),
        ("npm ci --registry=https://mirror.example", ["mirror.example"]),
        ("./setup.sh; cat my-pip.txt npm.log; going", []),
        ("pip install -i http://[x/simple y", ["index.example", "files.example"]),
    ],
)  # fmt: skip
def test_the_package_index_is_what_the_command_names_or_its_manager_asks(
    command: str, hosts: list[str], managers: Path
) -> None:
    assert indexes_of(command) == hosts


@pytest.mark.parametrize("says", ["exit 3", "echo https://x.example/; exit 1", "echo 'not;a host'"])
def test_a_package_manager_that_says_nothing_of_its_index_names_none(
    says: str, managers: Path
) -> None:
    (managers / "npm").write_text(f"#!/bin/sh\n{says}\n")
    assert indexes_of("npm ci") == []


def test_the_pip_of_this_machine_knows_its_index() -> None:
    index, files = indexes_of("pip install -e .")
    assert "." in index
    assert "." in files


def test_yes_lets_the_setup_command_reach_its_package_index(
    run: Run, server: Loopback, git_repo: Callable[..., Path], managers: Path
) -> None:
    assert run("init", str(git_repo()), "--yes", "--setup", "npm ci").code == 0
    settings = server.asked[-1].body["settings"]
    assert settings["setup_network"] == ["registry.example"]


@pytest.mark.parametrize(("typed", "let"), [("\n\ny\n", True), ("\nn\ny\n", False)])
def test_a_person_is_asked_whether_the_setup_command_may_reach_it(
    typed: str, let: bool, server: Loopback, git_repo: Callable[..., Path], managers: Path
) -> None:
    code, said = on_terminal(server, "init", str(git_repo()), "--setup", "npm ci", typed=typed)
    assert code == 0, said
    assert "registry.example" in said
    assert ("setup_network" in server.asked[-1].body["settings"]) is let


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, True),
        ({"runtime": "process"}, False),
        ({"network": ["x.example"]}, False),
        ({"setup_network": ["mirror.example"]}, False),
        ({"setup_command": "make deps"}, False),
    ],
)
def test_a_setup_command_that_reaches_no_index_is_told_with_the_line(
    settings: dict[str, object],
    told: bool,
    run: Run,
    server: Loopback,
    tmp_path: Path,
    managers: Path,
) -> None:
    found = {"setup_command": "pip install -e .", "runtime": "sandbox", **settings}
    shown = canned.project(settings=found)
    server.routes["POST", "/api/projects"] = Answer(201, shown)
    server.routes["PATCH", "/api/projects/prj_1"] = Answer(200, shown)
    line = "project set sample setup_network index.example,files.example"
    assert (line in run("init", str(tmp_path), "--yes").err) is told
    done = run("project", "set", "prj_1", "setup_command", "pip install -e .")
    assert (line in done.err) is told


def test_without_a_terminal_it_does_not_ask(run: Run, server: Loopback, tmp_path: Path) -> None:
    ended = run("init", str(tmp_path))
    assert ended.code == 2
    assert "--yes" in ended.err
    assert [a.method for a in server.asked] == ["GET"]


def test_without_a_server_it_says_how_to_start_one(run: Run, tmp_path: Path) -> None:
    with Loopback() as gone:
        url = gone.url
    ended = run("init", str(tmp_path), "--yes", url=url)
    assert ended.code == 6
    assert "start it: muster" in ended.err


@pytest.mark.parametrize(
    ("typed", "command", "trust"),
    [("\ny\n", "python -m pytest -q", True), ("make check\n\n", "make check", False)],
)
def test_on_a_terminal_a_person_is_asked(
    typed: str, command: str, trust: bool, server: Loopback, git_repo: Callable[..., Path]
) -> None:
    repo = git_repo()
    code, said = on_terminal(server, "init", str(repo), typed=typed)
    assert code == 0, said
    assert "Do you trust" in said
    body = server.asked[-1].body
    assert (body["settings"]["test_command"], body["trust"]) == (command, trust)


def test_an_end_of_input_at_a_question_registers_nothing(server: Loopback, tmp_path: Path) -> None:
    code, said = on_terminal(server, "init", str(tmp_path), typed="\x04")
    assert code == 130
    assert "interrupted" in said
    assert {a.method for a in server.asked} == {"GET"}


def test_without_tests_it_says_what_that_means(run: Run, server: Loopback, tmp_path: Path) -> None:
    bare = canned.project(settings={"test_command": None})
    server.routes["POST", "/api/projects"] = Answer(201, bare)
    assert "project set test_command" in run("init", str(tmp_path), "--yes").err
