"""The crew with the real Claude Code in every role: one task's story, from words to verified."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.houses import git, make_repo
from forge.loopback_github import TOKEN, Hub, running_hub
from hostile.servers import muster, served, settings
from model_server.server import ModelServer

pytestmark = pytest.mark.needs_claude

REPO = "team/purse"
TESTS = f"'{sys.executable}' -B -m unittest -q"
FILES = {
    "README.md": "# purse\n",
    "test_purse.py": "import unittest\n\n\nclass Purse(unittest.TestCase):\n"
    "    def test_it_is_there(self):\n        assert open('README.md').read()\n",
}
LOSES = "def split(cents, parts):\n    return [cents // parts] * parts\n"
KEEPS = (
    "def split(cents, parts):\n"
    "    whole, rest = divmod(cents, parts)\n"
    "    return [whole + (n < rest) for n in range(parts)]\n"
)
WANTED = "Cents that do not divide evenly are lost here: give them to the first."
"""What the first review asks for."""


def _test_of(name: str, cents: int, parts: list[int]) -> str:
    return (
        f"import unittest\n\nfrom split import split\n\n\nclass {name}(unittest.TestCase):\n"
        f"    def test_parts(self):\n        self.assertEqual(split({cents}, 3), {parts})\n"
    )


def _finish(summary: str, data: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The steps in which an agent hands in its report and ends."""
    said = {"status": "completed", "summary": summary, "data": data}
    return [
        {"tools": [{"tool": "call", "name": "finish", "input": said}], **more},
        {"text": "Done."},
    ]


def _run(command: str) -> dict[str, Any]:
    return {"tools": [{"tool": "bash", "command": command}]}


def _write(path: str, content: str) -> dict[str, Any]:
    return {"tool": "write", "path": path, "content": content}


CODER, FIX_UP = "# Task MU-1: Split a sum", "## Reviewers ask for changes"
REVIEWER, AGAIN = "You are a reviewer", "An earlier review by"
STARTER, DEPLOYER, VERIFIER = "You are the starter", "You are the deployer", "You are the verifier"
SCRIPTS = {
    CODER: [
        {
            "text": "I write it.",
            "tools": [
                _write("split.py", LOSES),
                _write("test_split.py", _test_of("Even", 900, [300, 300, 300])),
            ],
        },
        {"text": "A sum is split now."},
    ],
    FIX_UP: [
        {"tools": [{"tool": "read", "path": "split.py"}]},
        {
            "tools": [
                {"tool": "edit", "path": "split.py", "old": LOSES, "new": KEEPS},
                _write("test_rest.py", _test_of("Rest", 200, [67, 67, 66])),
            ]
        },
        {"text": "No cent is lost now."},
    ],
    STARTER: _finish(
        "It is planned.",
        {
            "decision": "plan",
            "analysis": "Nothing splits a sum yet.",
            "plan": [{"title": "Write split.py with a test", "files": ["split.py"]}],
        },
    ),
    REVIEWER: [
        _run("git log -1 --format=%s; cat split.py"),
        *_finish(
            "Not yet.",
            {
                "verdict": "request_changes",
                "summary": "Cents get lost.",
                "comments": [{"path": "split.py", "line": 2, "text": WANTED, "severity": "must"}],
            },
        ),
    ],
    AGAIN: _finish("Fine.", {"verdict": "approve", "summary": "No cent is lost.", "comments": []}),
    DEPLOYER: [
        _run("true"),
        *_finish(
            "Deployed.",
            {"deployed": True, "commit": "COMMIT", "environment": "test", "notes": "As asked."},
            heard={"COMMIT": r"you deploy the commit `([0-9a-f]{40})`"},
        ),
    ],
    VERIFIER: [
        _run("python3 -B -m unittest -q"),
        *_finish(
            "It is as it should be.",
            {
                "passed": True,
                "checks": [{"name": "tests", "passed": True, "detail": "OK"}],
                "summary": "Its tests pass as deployed.",
            },
        ),
    ],
}
"""What the model says to whom, by what the prompt says who that is."""

STORY = [
    "task.assigned",
    "task.plan.created",
    "pr.created",
    "pr.changes.requested",
    "pr.updated",
    "pr.approved",
    "pr.merged",
    "deploy.completed",
    "verify.passed",
    "task.completed",
]
ROLES = ["starter", "coding", "reviewer", "coding", "reviewer", "deployer", "verifier"]


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer(SCRIPTS) as running:
        yield running


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_hub(tmp_path / "hub") as running:
        running.create(REPO, FILES)
        yield running


@pytest.fixture
def place(home: Path, model: ModelServer, hub: Hub, claude_path: str) -> Iterator[Path]:
    """A server that knows one program and one GitHub."""
    env = {
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": "sk-ant-test-0123456789abcdef",
        "PATH": f"{Path(claude_path).parent}:/usr/local/bin:/usr/bin:/bin",
    }
    settings(
        home,
        f'disk_floor_mb = 1\nmax_attempts = 1\ngithub_api_url = "{hub.url}"\n'
        f'github_token = "{TOKEN}"\nforge = "github"\ngithub_repo = "{REPO}"\n'
        'same_program = "on"\ndeploy_command = "true"\n',
    )
    with served(home, env):
        yield home


def story(place: Path, repo: Path) -> list[dict[str, Any]]:
    """The events of the task that tell its story, page after page."""
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        said = ("--task", "MU-1", "--after", str(after), "--limit", "200", "--json")
        listed = muster(place, "event", "list", *said, cwd=repo)
        assert listed.code == 0, listed.err
        found += [e for e in listed.json["items"] if e["type"] in STORY]
        after = listed.json["next"]
    return found


def told(model: ModelServer, script: str) -> str:
    """All that was said in the requests of a script: the prompt, and what tools answered."""
    asked = [r.body["messages"] for r in model.requests if r.script == script]
    assert asked, f"nobody was told {script!r}"
    return json.dumps(asked)


def test_claude_in_every_role_walks_a_task_from_words_to_verified(
    place: Path, tmp_path: Path, model: ModelServer, hub: Hub
):
    repo = make_repo(tmp_path / "purse", FILES)
    git(repo, "push", "-q", "--force", str(hub.rest.repos[REPO].bare.path), "main")
    init = muster(place, "init", ".", "--yes", "--test", TESTS, cwd=repo)
    assert init.code == 0, init.err
    done = muster(
        place, "do", "Split a sum", "--agent", "claude", "--model", "claude-sonnet-4-5",
        "--playbook", "crew", "--autonomy", "full", "--wait", "--json", cwd=repo, patience=240,
    )  # fmt: skip
    assert done.code == 0, (done.out, done.err)
    task = done.json

    events = story(place, repo)
    assert [event["type"] for event in events] == STORY
    # Each was caused by the one before it.
    assert [event["cause"] for event in events] == [None, *[e["rev"] for e in events[:-1]]]

    (pull,) = hub.pulls(REPO)
    assert pull["merged"]
    assert [r["body"].splitlines()[0] for r in hub.reviews(REPO)] == [
        "**Changes requested.** Cents get lost.", "**Approved.** No cent is lost."
    ]  # fmt: skip
    assert hub.files(REPO)["split.py"].split() == KEEPS.split()
    assert {"test_split.py", "test_rest.py"} <= set(hub.files(REPO))
    assert task["merged_commit"] == hub.rest.repos[REPO].bare.tip("main")
    assert task["crew"]["deployment"]["commit"] == task["merged_commit"]

    agents = muster(place, "agent", "list", "--json", cwd=repo).json["items"]
    agents.sort(key=lambda agent: agent["attempt"])
    assert [agent["role"] for agent in agents] == ROLES
    assert {agent["driver"] for agent in agents} == {"claude"}
    assert len({agent["session_id"] for agent in agents}) == len(ROLES)
    assert WANTED in told(model, FIX_UP)
    assert "return [cents // parts] * parts" in told(model, REVIEWER)
    assert "Ran 3 tests" in told(model, VERIFIER)
