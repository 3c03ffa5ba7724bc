"""The real Claude Code, nothing set but a login: it is contained, signed in, and kept out."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.houses import CALC, UNITTEST, git, make_repo
from hostile.servers import muster, served, settings
from model_server.server import ModelServer

pytestmark = [pytest.mark.needs_claude, pytest.mark.needs_bubblewrap]

TOKEN = "sk-ant-oat01-0123456789abcdef0123456789abcdef"
LOGIN = {
    "claudeAiOauth": {
        "accessToken": TOKEN,
        "refreshToken": "sk-ant-ort01-0123456789abcdef0123456789abcdef",
        "expiresAt": 4_000_000_000_000,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }
}


@pytest.fixture
def person(tmp_path: Path) -> Path:
    """The home of somebody who has signed in to Claude Code, which lies there too."""
    home = tmp_path / "people" / "ann"
    (home / ".claude").mkdir(parents=True)
    (home / ".claude" / ".credentials.json").write_text(json.dumps(LOGIN))
    (home / ".claude" / "settings.json").write_text('{"model": "a-secret-of-ann"}')
    (home / "diary").write_text("dear diary")
    found = Path(shutil.which("claude") or "").resolve()
    (home / ".local" / "bin").mkdir(parents=True)
    (home / ".local" / "share" / "claude").mkdir(parents=True)
    own = home / ".local" / "share" / "claude" / "2.1"
    shutil.copy(found, own)
    (home / ".local" / "bin" / "claude").symlink_to(own)
    return home


@pytest.fixture
def model(person: Path, home: Path) -> Iterator[ModelServer]:
    tries = (
        f"cat {person}/diary {person}/.claude/settings.json {home}/token > seen.txt;"
        f" ls -A {person}/.claude >> seen.txt; true"
    )
    steps = [{"tools": [{"tool": "bash", "command": tries}]}, {"text": "It is done."}]
    with ModelServer({"tries": steps}) as running:
        yield running


def test_it_signs_in_by_what_it_is_lent_and_sees_nothing_else_of_the_home(
    home: Path, tmp_path: Path, person: Path, model: ModelServer
):
    own = f'[agents.mine]\ndriver = "claude"\nenv = {{ ANTHROPIC_BASE_URL = "{model.url}" }}\n'
    settings(home, f"disk_floor_mb = 1\nmax_attempts = 1\n{own}", evidence=None)
    env = {
        "HOME": str(person),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "ANTHROPIC_API_KEY": None,
    }
    repo = make_repo(tmp_path / "repo", CALC)
    with served(home, env):
        assert muster(home, "init", ".", "--yes", "--test", UNITTEST, cwd=repo).code == 0
        done = muster(
            home, "do", "Try it [[script:tries]]", "--agent", "mine", "--type", "chore",
            "--model", "claude-sonnet-4-5", "--autonomy", "full", "--wait", "--json", cwd=repo,
        )  # fmt: skip
        assert done.code == 0, (done.out, done.err)
        (agent,) = done.json["agents"]
        assert agent["runtime"] == "sandbox"
        assert "contained by bubblewrap" in muster(home, "status").out
        found = {c["name"]: c for c in muster(home, "doctor", "--json", env=env).json["checks"]}
        assert found["agents run"]["state"] == "ok"
        assert "`sandbox` by default" in found["agents run"]["text"]
    asked = [r for r in model.requests if r.body and "messages" in r.body]
    assert {r.headers.get("Authorization") for r in asked} == {f"Bearer {TOKEN}"}
    assert git(repo, "show", "main:seen.txt") == ""
    stored = (home / "runs" / agent["id"] / "out").read_text()
    assert TOKEN not in stored
    assert json.loads((person / ".claude" / ".credentials.json").read_text()) == LOGIN
