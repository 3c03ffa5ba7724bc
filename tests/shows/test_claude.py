"""The main job with the real Claude Code: words in, judged by the repository's own tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.houses import git, make_repo
from hostile.servers import Done, muster, served, settings
from model_server.server import ModelServer

pytestmark = pytest.mark.needs_claude

SAMPLE = Path(__file__).with_name("purse")
SCRIPTS = {
    "good": [
        {"text": "I look at it first.", "tools": [{"tool": "read", "path": "purse/money.py"}]},
        {
            "text": "It has to round half to even.",
            "tools": [
                {
                    "tool": "edit",
                    "path": "purse/money.py",
                    "old": "    return cents // parts",
                    "new": "    return round(cents / parts)",
                },
                {
                    "tool": "write",
                    "path": "tests/test_rounding.py",
                    "content": (
                        "import unittest\n\nfrom purse.money import share\n\n\n"
                        "class Rounding(unittest.TestCase):\n"
                        "    def test_a_share_is_rounded_to_the_nearest_cent(self):\n"
                        "        self.assertEqual(share(200, 3), 67)\n"
                    ),
                },
            ],
            "usage": {"input_tokens": 2000, "output_tokens": 200},
        },
        {"text": "Shares are rounded now.", "usage": {"input_tokens": 2200, "output_tokens": 20}},
    ],
    "breaks": [
        {"text": "I look at it first.", "tools": [{"tool": "read", "path": "purse/money.py"}]},
        {
            "tools": [
                {
                    "tool": "edit",
                    "path": "purse/money.py",
                    "old": "    return cents // parts",
                    "new": "    return cents * parts",
                }
            ]
        },
        {"text": "Done. All tests pass."},
    ],
}


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer(SCRIPTS) as running:
        yield running


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    files = {
        str(path.relative_to(SAMPLE)): path.read_text()
        for path in sorted(SAMPLE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return make_repo(tmp_path / "purse", files)


@pytest.fixture
def place(home: Path, model: ModelServer, claude_path: str) -> Iterator[Path]:
    """A server whose Claude Code talks to the loopback model."""
    env = {
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": "sk-ant-test-0123456789abcdef",
        "PATH": f"{Path(claude_path).parent}:/usr/local/bin:/usr/bin:/bin",
    }
    settings(home, "disk_floor_mb = 1\nmax_attempts = 1\n")
    with served(home, env):
        yield home


def ask(home: Path, repo: Path, words: str, *more: str) -> Done:
    tests = f"'{sys.executable}' -B -m unittest -q"
    init = muster(home, "init", ".", "--yes", "--test", tests, cwd=repo)
    assert init.code == 0, init.err
    return muster(
        home, "do", words, "--agent", "claude", "--model", "claude-sonnet-4-5", "--type", "bug",
        "--wait", "--autonomy", "full", *more, cwd=repo,
    )  # fmt: skip


def test_work_of_claude_that_passes_is_on_the_branch_with_its_evidence_and_cost(
    place: Path, repo: Path, model: ModelServer
):
    done = ask(place, repo, "Round shares to the nearest cent [[script:good]]")
    assert done.code == 0, (done.out, done.err)
    assert "completed" in done.out
    assert "round(cents / parts)" in git(repo, "show", "main:purse/money.py")
    assert (repo / "tests" / "test_rounding.py").exists()
    assert git(repo, "status", "--porcelain") == ""

    label = done.out.split()[0]
    task = muster(place, "task", "show", label, "--json", cwd=repo).json
    assert task["cost_usd"] > 0
    assert task["input_tokens"] > 0
    assert task["output_tokens"] > 0
    (verdict,) = task["verdicts"]
    assert verdict["passed"]
    runs = [run for f in verdict["findings"] for run in f["evidence"].get("runs", [])]
    assert {run["name"] for run in runs} >= {"base", "result"}
    assert {run["exit_code"] for run in runs if run["name"] in {"base", "result"}} == {0}
    assert task["merged_commit"] == git(repo, "rev-parse", "main")
    page = muster(place, "task", "show", label, cwd=repo).out
    assert all(finding["text"] in page for finding in verdict["findings"]), page
    assert any(r.script == "good" for r in model.requests)


def test_work_of_claude_that_breaks_a_test_is_refused_whatever_it_says(place: Path, repo: Path):
    before = git(repo, "rev-parse", "main")
    done = ask(place, repo, "Round shares to the nearest cent [[script:breaks]]", "--json")
    assert done.code == 1, (done.out, done.err)
    task = done.json
    assert task["status"] == "failed"
    vetoes = [f for v in task["verdicts"] for f in v["findings"] if f["severity"] == "veto"]
    assert {f["code"] for f in vetoes} == {"tests.broken"}
    assert "test_a_share_is_an_equal_part" in str(vetoes)
    assert git(repo, "rev-parse", "main") == before
    assert "All tests pass" in muster(place, "agent", "logs", task["label"], cwd=repo).out
