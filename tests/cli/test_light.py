"""What the command line does not bring along: a start that a person does not feel."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.client.loopback import TOKEN, Loopback

from muster.cli.entry import main
from muster.cli.main import main as read_line
from muster.cli.usage import PAGE

HEAVY = {
    "alembic", "asyncio", "fastapi", "httpx", "jinja2", "logging", "pydantic", "rich", "sqlalchemy",
    "starlette", "uvicorn", "websockets", "importlib.metadata",
    "muster.service", "muster.settings", "muster.store", "muster.wiring",
}  # fmt: skip
CODE = """
import sys
before = set(sys.modules)  # a measured run has brought some itself
from muster.cli.entry import main
code = main(sys.argv[1:])
print(*set(sys.modules) - before, file=sys.stderr)
sys.exit(code)
"""


def _modules(*args: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *args], capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("line", ["task list --json", "task list", "task show MU-1", "inbox"])
def test_a_command_brings_nothing_heavy(line: str, server: Loopback) -> None:
    found = _modules("--url", server.url, "--token", TOKEN, *line.split())
    assert "muster.client" in found
    assert not found & HEAVY


@pytest.mark.parametrize("line", ["", "--help", "--version"])
def test_help_brings_no_command_and_no_client(line: str) -> None:
    found = _modules(*line.split())
    assert not found & {*HEAVY, "http.client", "json", "muster.client", "muster.cli.task"}


def test_the_page_of_help_is_what_the_command_line_would_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert read_line(["--help"]) == 0
    assert capsys.readouterr().out == PAGE
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == PAGE


def test_the_page_of_help_brings_nothing_else() -> None:
    assert "click" in _modules("--help", "--json")
    assert not _modules("--help") & {"click", "re", "pathlib", "muster.cli.main"}


def test_help_is_laid_out_anew_where_the_page_does_not_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) < 60


@pytest.mark.parametrize("line", ["up", "demo", "doctor", "plugin list", "agent attach"])
def test_the_help_of_a_heavy_command_does_not_bring_what_is_heavy(line: str) -> None:
    assert not _modules(*line.split(), "--help") & HEAVY


def test_a_server_starts_without_what_only_its_doors_need() -> None:
    code = "import sys, muster.wiring.server; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert {"muster.wiring.house", "sqlalchemy", "uvicorn"} <= found
    assert not found & {"fastapi", "pydantic", "mcp", "websockets", "jinja2", "alembic"}
