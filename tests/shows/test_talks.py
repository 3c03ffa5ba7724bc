"""Real programs ask, are answered and told in places that are further away than a pipe."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.houses import git, make_repo
from hostile.servers import muster, served, settings, until
from matrix.cell import KEPT, clear
from matrix.places import COLUMNS
from matrix.programs import ROWS
from model_server.server import ModelServer
from muster.client import Muster

WORD = "Keep it short."
NO = "Not that one."
LONG = 120.0
SHORT = {("claude", "ssh"), ("gemini", "tmux")}


def script(go: Path) -> list[dict[str, Any]]:
    """Two commands that may do harm; it is held before the second until `go` exists."""
    return [
        {"tools": [{"tool": "bash", "command": "printf one > first.txt"}]},
        {"until": str(go), "tools": [{"tool": "bash", "command": "printf two > second.txt"}]},
        *[{"text": "That is all."}] * 3,
    ]


def asked(home: Path) -> Any:
    until(home, lambda client: client.list_breakpoints()["items"], LONG)
    return muster(home, "inbox", "--json").json["items"][0]


def _case(program: str, place: str) -> Any:
    marks = [getattr(pytest.mark, f"needs_{part}") for part in (program, *COLUMNS[place].parts)]
    if (program, place) not in SHORT:
        marks.append(pytest.mark.long)
    return pytest.param(program, place, marks=marks, id=f"{program}-{place}")


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("program", "place"),
    [_case(p, at) for at in ("docker", "ssh", "tmux") for p in ("claude", "codex", "gemini")],
)
def test_it_asks_is_answered_and_hears_a_word(program: str, place: str, home: Path, tmp_path: Path):
    its, go = ROWS[program], tmp_path / "go"
    none = {name: None for name in os.environ if not name.startswith(KEPT)}
    repo = make_repo(tmp_path / "repo", {"a.txt": "a\n"})
    home.mkdir(exist_ok=True)
    with (
        ModelServer({"talk": script(go)}) as model,
        COLUMNS[place].ready(home, program) as ready,
    ):
        told = {name: value.replace("{url}", model.url) for name, value in its.environ.items()}
        network = json.dumps([f"127.0.0.1:{model.port}"])
        own = f'disk_floor_mb = 1\nmax_attempts = 1\npermissions = "ask"\nnetwork = {network}\n'
        settings(home, own + ready.settings)
        try:
            with served(home, {**none, "HOME": str(tmp_path / "person"), **told, **ready.env}):
                talk(home, repo, (program, ready.runtime, its.model), model, go)
        finally:
            clear(home)


def talk(
    home: Path, repo: Path, which: tuple[str, str, str | None], model: ModelServer, go: Path
) -> None:
    """Allow the first command, say a word, deny the second; then look at what came of it."""
    program, runtime, named = which
    assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
    made = muster(
        home, "do", "Do it [[script:talk]]", "--agent", program, "--runtime", runtime,
        *(("--model", named) if named else ()), "--type", "chore", "--autonomy", "full", "--json",
        cwd=repo,
    ).json  # fmt: skip
    first = asked(home)
    assert first["kind"] == "permission"
    assert "first.txt" in json.dumps(first["evidence"])
    assert muster(home, "breakpoint", "resolve", first["id"], "allow").code == 0
    until(home, lambda _: go.with_name("go.asked").exists(), LONG)
    said = muster(home, "agent", "send", made["label"], WORD)
    assert said.code == 0, said.err
    go.touch()
    second = asked(home)
    assert "second.txt" in json.dumps(second["evidence"])
    denied = muster(home, "breakpoint", "resolve", second["id"], "deny", "--note", NO)
    assert denied.code == 0, denied.err

    def ended(client: Muster) -> bool:
        return client.get_task(made["label"])["status"] in {"completed", "failed"}

    until(home, ended, LONG)
    task = muster(home, "task", "show", made["label"], "--json").json
    assert task["status"] == "completed", task["reason"]
    assert git(repo, "ls-tree", "--name-only", "main").split() == ["a.txt", "first.txt"]
    (agent,) = task["agents"]
    assert (home / "runs" / agent["id"] / "in").read_text().count(WORD) == 1
    assert any(WORD in json.dumps(request.body) for request in model.requests)
