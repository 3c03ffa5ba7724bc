"""`muster manager` and `muster worker`: what is asked of the server, and how waiting ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.client import canned
from tests.client.loopback import Answer, Loopback

ENDED: dict[str, Any] = {"status": "completed", "stage": "completed", "breakpoint": None}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "pytest.ini").write_text("")
    return tmp_path / "repo"


def test_a_wish_becomes_a_managers_task_of_the_repository(
    run: Run, server: Loopback, repo: Path
) -> None:
    done = run("manager", "Split it", "--repo", str(repo), "--model", "m", "--runtime", "sandbox")
    assert done.code == 0, done.err
    looked, _, made = server.asked[-3:]
    assert looked.query == {"path": str(repo)}
    assert made.body == {
        "project": "prj_1", "description": "Split it", "playbook": "manager", "model": "m",
        "runtime": "sandbox",
    }  # fmt: skip
    assert "MU-1" in done.out
    assert "workers run one after another" in done.err
    assert "muster queue set max_concurrent 4" in done.err


def test_what_all_of_it_may_cost_is_said_and_can_be_raised(
    run: Run, server: Loopback, repo: Path
) -> None:
    assert run("manager", "Split it", "--repo", str(repo), "--budget", "5").code == 0
    assert server.asked[-1].body["budget_usd"] == 5.0
    assert run("manager", "Split it", "--repo", str(repo), "--budget", "0").code == 2
    done = run("task", "budget", "MU-1", "7.5")
    assert done.code == 0, done.err
    assert (server.asked[-1].method, server.asked[-1].body) == ("PATCH", {"budget_usd": 7.5})
    assert "muster task retry MU-1" in done.err


def test_a_repository_that_is_not_known_is_registered_with_its_tests(
    run: Run, server: Loopback, repo: Path
) -> None:
    server.routes["GET", "/api/projects"] = Answer(body=canned.page())
    done = run("manager", "Split it", "--repo", str(repo), "--branch", "dev")
    assert done.code == 0, done.err
    (registered,) = [a for a in server.asked if a.body and a.path == "/api/projects"]
    assert registered.body == {
        "path": str(repo), "branch": "dev", "trust": False,
        "settings": {"test_command": "python -m pytest -q"},
    }  # fmt: skip


def test_what_a_repository_itself_would_run_counts_only_when_a_person_says_so(
    run: Run, server: Loopback, repo: Path
) -> None:
    (repo / ".muster").mkdir()
    (repo / ".muster" / "config.toml").write_text('setup_command = "sh evil"\n')
    server.routes["GET", "/api/projects"] = Answer(body=canned.page())
    done = run("manager", "Split it", "--repo", str(repo))
    assert done.code == 0, done.err
    (registered,) = [a for a in server.asked if a.body and a.path == "/api/projects"]
    assert registered.body["trust"] is False
    assert f"muster init {repo}" in done.err


def test_another_branch_than_the_projects_is_refused(
    run: Run, server: Loopback, repo: Path
) -> None:
    done = run("manager", "Split it", "--repo", str(repo), "--branch", "elsewhere")
    assert done.code == 2
    assert "'elsewhere'" in done.err
    assert not [asked for asked in server.asked if asked.method == "POST"]


def test_waiting_ends_as_that_of_a_task(run: Run, server: Loopback) -> None:
    ended = canned.detail(**{**ENDED, "status": "failed", "stage": "failed"})
    server.routes["GET", "/api/tasks/tsk_1"] = Answer(body=ended)
    done = run("manager", "Split it", "--wait", "--json")
    assert done.code == 1
    assert json.loads(done.out)["workers"][0]["parent_id"] == "tsk_1"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["--repo", "ext::sh -c x"], "no URL"),
        (["--repo", "ftp://host/repo"], "cannot be got by 'ftp'"),
        (["--repo", "https://me:secret@host/repo"], "holds a name or a password"),
        (["--repo", ".", "--token", __file__], "are for a URL"),
        (["--repo", "http://host/repo", "--token", __file__], "over https only"),
    ],
)
def test_what_cannot_be_got_is_refused_with_the_next_step_and_no_secret(
    run: Run, line: list[str], says: str
) -> None:
    done = run("manager", "Split it", *line)
    assert done.code in {1, 2}
    assert says in done.err
    assert "next:" in done.err
    assert "secret" not in done.out + done.err


def test_a_task_file_in_json_spawns_its_worker_once(
    run: Run, server: Loopback, tmp_path: Path
) -> None:
    file = tmp_path / "task.json"
    file.write_text(json.dumps({"id": "parser", "prompt": "Write it", "type": "chore"}))
    line = ("worker", "spawn", str(file), "--project", "sample", "--image", "tools:1")
    assert run(*line).code == 0
    asked = server.asked[-1]
    assert asked.headers["idempotency-key"] == "worker sample parser"
    assert asked.body == {
        "project": "sample", "description": "Write it", "type": "chore", "image": "tools:1"
    }  # fmt: skip


def test_a_task_file_of_plain_text_is_the_prompt(
    run: Run, server: Loopback, tmp_path: Path
) -> None:
    file = tmp_path / "task.md"
    file.write_text("# Write it\n\nAll of it.\n")
    assert run("worker", "spawn", str(file), "--project", "sample").code == 0
    assert server.asked[-1].body["description"] == "# Write it\n\nAll of it.\n"
    assert not server.asked[-1].headers["idempotency-key"].startswith("worker")


@pytest.mark.parametrize("text", ["", "{", '{"id": "a"}', '{"prompt": "x", "runs": "rm"}'])
def test_a_task_file_that_is_none_is_refused(run: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "task.json"
    file.write_text(text)
    done = run("worker", "spawn", str(file), "--project", "sample")
    assert (done.code, "next:" in done.err) == (2, True)


def test_a_result_is_told_once_there_is_one(run: Run, server: Loopback) -> None:
    assert run("worker", "result", "MU-1").code == 5
    server.routes["GET", "/api/tasks/MU-1"] = Answer(body=canned.detail("all of it", **ENDED))
    done = run("worker", "result", "MU-1", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    assert (found["task_id"], found["status"], found["passed"]) == ("MU-1", "completed", False)
    assert found["output"] == "all of it"


def test_reset_asks_first_and_ends_managers_before_their_workers(
    run: Run, server: Loopback
) -> None:
    assert run("worker", "reset", "--project", "sample").code == 2
    assert not [asked for asked in server.asked if asked.method == "POST"]
    boss = canned.task(id="tsk_2", label="MU-2", playbook="manager")
    pages = [canned.page(canned.task(), boss), canned.page()]
    server.routes["GET", "/api/tasks"] = lambda _: Answer(body=pages.pop(0))
    for name in ("tsk_1", "tsk_2"):
        server.routes["POST", f"/api/tasks/{name}/cancel"] = Answer(body=canned.task())
    done = run("worker", "reset", "--project", "sample", "--yes", "--json")
    assert done.code == 0, done.err
    acts = [asked.path for asked in server.asked if asked.method == "POST"]
    assert acts == ["/api/tasks/tsk_2/cancel", "/api/tasks/tsk_1/cancel", "/api/agents/clean"]
    assert json.loads(done.out)["ended"] == ["MU-1", "MU-2"]
