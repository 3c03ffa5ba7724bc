"""The real programs use muster's own MCP server: what they say there is in muster's events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.two_way_programs import PROGRAMS
from engine.houses import make_repo
from hostile.servers import muster, served, settings
from model_server.server import ModelServer

SCRIPT: list[dict[str, Any]] = [
    {
        "text": "I look around.",
        "tools": [{"tool": "bash", "command": "sleep 4"}],
    },
    {
        "text": "I tell.",
        "tools": [
            {
                "tool": "call",
                "name": "report_progress",
                "input": {"text": "half way", "percent": 50},
            }
        ],
    },
    {"tools": [{"tool": "write", "path": "NOTES.md", "content": "Noted.\n"}]},
    {
        "tools": [
            {
                "tool": "call",
                "name": "finish",
                "input": {"status": "completed", "summary": "all of it"},
            }
        ]
    },
    {"text": "Done."},
]
SEARCH = {"tools": [{"tool": "search", "query": "muster report_progress finish"}]}
SCRIPTS = {"tell": SCRIPT[1:], "seek": [SCRIPT[0], SEARCH, *SCRIPT[1:]]}


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer(SCRIPTS) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "script", "runtime"),
    [
        pytest.param(
            "claude", "tell", "process", marks=[pytest.mark.needs_claude, pytest.mark.long]
        ),
        pytest.param(
            "claude",
            "tell",
            "sandbox",
            marks=[pytest.mark.needs_claude, pytest.mark.needs_bubblewrap],
        ),
        # It connects beside its first turn, and finds tools by searching.
        pytest.param("codex", "seek", "process", marks=[pytest.mark.needs_codex]),
        pytest.param(
            "opencode", "tell", "process", marks=[pytest.mark.needs_opencode, pytest.mark.long]
        ),
    ],
)
def test_it_reports_and_hands_in_its_result(
    name: str, script: str, runtime: str, home: Path, tmp_path: Path, model: ModelServer
):
    program = PROGRAMS[name]
    repo = make_repo(tmp_path / "repo", {"a.txt": "a\n"})
    env = {key: value.replace("{url}", model.url) for key, value in program.environ.items()}
    settings(home, "disk_floor_mb = 1\nmax_attempts = 1\n")
    with served(home, env):
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        which = ["--model", program.model] if program.model else []
        done = muster(
            home, "do", f"Note it. [[script:{script}]]", "--agent", name, "--type", "chore",
            "--runtime", runtime, "--autonomy", "full", "--wait", "--json", *which, cwd=repo,
        )  # fmt: skip
        assert done.code == 0, (done.out, done.err)
        (agent,) = done.json["agents"]
        assert agent["result"] == {"status": "completed", "summary": "all of it", "data": {}}
        events = muster(home, "event", "list", "--json", cwd=repo).json["items"]
        told = [e["payload"] for e in events if "progress" in e["payload"]]
        assert [(t["progress"], t["percent"]) for t in told] == [("half way", 50)]
        assert [e for e in events if e["type"] == "network.refused"] == []
