"""`muster do`: what is submitted, and how waiting ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal
from tests.client import canned
from tests.client.loopback import TOKEN, Answer, Asked, Loopback, frame, problem

from house.patience import PATIENCE

STREAM = ("GET", "/api/events/stream")


def _states(server: Loopback, *states: dict[str, Any]) -> None:
    """Let the task be in these states, one after another, each told by an event."""
    left = [canned.detail(rev=rev, **state) for rev, state in enumerate(states, 10)]
    server.routes["POST", "/api/tasks"] = Answer(201, canned.task(status="queued", rev=1))

    def look(_asked: Asked) -> Answer:
        return Answer(body=left.pop(0) if len(left) > 1 else left[0])

    def follow(asked: Asked) -> Answer:
        first = int(asked.headers["last-event-id"]) + 1
        told = [canned.event(n) for n in range(first, first + len(states))]
        other = frame("task.queued", canned.event(first, task_id="tsk_other"), first)
        return Answer(frames=[other, *(frame(e["type"], e, e["rev"]) for e in told)])

    server.routes["GET", "/api/tasks/tsk_1"] = look
    server.routes[STREAM] = follow


QUEUED: dict[str, Any] = {"status": "queued", "stage": "queued", "attempt": 0, "reason": ""}
RUNNING: dict[str, Any] = {"status": "executing", "stage": "running", "reason": ""}


def test_everything_that_was_said_is_submitted(run: Run, server: Loopback, tmp_path: Path) -> None:
    file = tmp_path / "words.md"
    file.write_text("Add a retry\n\nMore of it\n")
    line = [
        "do", "-f", str(file), "--project", "sample", "--agent", "claude", "--runtime", "process",
        "--playbook", "solo", "--autonomy", "full", "--after", "MU-1", "--after", "MU-2",
        "--priority", "0", "--budget", "1.5", "--model", "m", "--type", "bug", "--title", "T",
        "--path", "src/*", "--timeout", "5", "--key", "mine", "--acceptance",
    ]  # fmt: skip
    assert run(*line).code == 0
    asked = server.asked[-1]
    assert asked.headers["idempotency-key"] == "mine"
    assert asked.body == {
        "project": "sample", "description": "Add a retry\n\nMore of it\n", "agent": "claude",
        "runtime": "process", "playbook": "solo", "autonomy": "full", "after": ["MU-1", "MU-2"],
        "priority": 0, "budget_usd": 1.5, "model": "m", "type": "bug", "title": "T",
        "paths": ["src/*"], "timeout_minutes": 5.0, "acceptance": True,
    }  # fmt: skip


def test_what_is_judged_otherwise_than_the_project_says_is_sent(run: Run, server: Loopback) -> None:
    assert run("do", "x", "--no-acceptance").code == 0
    assert server.asked[-1].body["acceptance"] is False


def test_the_project_is_the_current_directorys(run: Run, server: Loopback) -> None:
    assert run("do", "x").code == 0
    looked, made = server.asked[-2:]
    assert looked.query == {"path": str(Path.cwd())}
    assert made.body == {"project": "prj_1", "description": "x"}


def test_outside_a_project_it_says_how_to_register_one(run: Run, server: Loopback) -> None:
    server.routes["GET", "/api/projects"] = Answer(body=canned.page())
    ended = run("do", "x")
    assert ended.code == 3
    assert "muster init" in ended.err


def test_the_text_can_come_from_standard_input(server: Loopback) -> None:
    line = ["--url", server.url, "--token", TOKEN, "do", "-f", "-", "--project", "sample"]
    done = subprocess.run(
        [sys.executable, "-m", "muster", *line], input="from a pipe", text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert server.asked[-1].body["description"] == "from a pipe"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_refused_before_anything_is_sent(
    text: str, run: Run, server: Loopback
) -> None:
    assert run("do", text, "--project", "sample").code == 2
    assert server.asked == []


@pytest.mark.parametrize(
    ("end", "code"), [("completed", 0), ("failed", 1), ("cancelled", 1), ("waiting", 7)]
)
def test_waiting_ends_with_the_tasks_end(end: str, code: int, run: Run, server: Loopback) -> None:
    _states(server, QUEUED, RUNNING, RUNNING, {"status": end, "stage": end})
    ended = run("do", "x", "--project", "sample", "--wait")
    assert ended.code == code
    assert ended.out.startswith("MU-1  ")
    steps = ended.err.splitlines()
    assert ["queued" in steps[0], "running" in steps[1], "attempt 2 of 3" in steps[1]] == [True] * 3
    assert sum("running" in step for step in steps) == 1, "the same state is told once"


def test_a_task_that_is_already_over_is_not_waited_for(run: Run, server: Loopback) -> None:
    _states(server, {"status": "completed", "stage": "completed", "breakpoint": None})
    ended = run("do", "x", "--project", "sample", "--wait")
    assert ended.code == 0
    assert "muster task diff MU-1" in ended.err
    assert STREAM not in [(a.method, a.path) for a in server.asked]


def test_a_question_is_shown_with_the_commands_that_answer_it(run: Run, server: Loopback) -> None:
    _states(server, {"status": "waiting", "stage": "waiting", "breakpoint": canned.question()})
    ended = run("do", "x", "--project", "sample", "--wait")
    assert ended.code == 7
    assert "MU-1 needs you: Merge it?" in ended.err
    assert "  muster breakpoint resolve bp_1 retry" in ended.err.splitlines()


def test_a_proposed_task_waits_for_a_go(run: Run, server: Loopback) -> None:
    _states(server, {"status": "proposed", "stage": "proposed", "breakpoint": None})
    ended = run("do", "x", "--project", "sample", "--wait")
    assert ended.code == 7
    assert "muster task approve MU-1" in ended.err


def test_waiting_with_json_prints_the_task_once_it_is_over(run: Run, server: Loopback) -> None:
    _states(server, RUNNING, {"status": "failed", "stage": "failed"})
    ended = run("do", "x", "--project", "sample", "--wait", "--json")
    assert (ended.code, ended.err) == (1, "")
    assert json.loads(ended.out)["status"] == "failed"


def test_a_restart_of_the_server_does_not_end_the_waiting(run: Run, server: Loopback) -> None:
    _states(server, RUNNING, {"status": "completed", "stage": "completed"})
    calm = server.routes[STREAM]
    troubles = [problem(503, "unreachable"), Answer(frames=[b": hello\n\n"])]
    server.routes[STREAM] = lambda asked: troubles.pop() if troubles else calm(asked)  # type: ignore[operator]
    assert run("do", "x", "--project", "sample", "--wait").code == 0


def test_the_time_to_wait_is_over_with_exit_8(run: Run, server: Loopback) -> None:
    hold = threading.Event()
    _states(server, RUNNING)
    server.routes[STREAM] = Answer(frames=[b": hello\n\n"], hold=hold)
    line = ["do", "x", "--project", "sample", "--wait-timeout", "0.2"]
    ended = run(*line)
    assert (ended.code, ended.out) == (8, "")
    assert "MU-1 is still executing after 0.2 s" in ended.err
    ended = run(*line, "--json")
    assert ended.code == 8
    assert json.loads(ended.out)["error"]["code"] == "timeout"
    hold.set()


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["words", "json"])
def test_ctrl_c_stops_the_watching_and_not_the_task(more: list[str], server: Loopback) -> None:
    hold, asked = threading.Event(), threading.Event()
    _states(server, RUNNING)

    def follow(_asked: Asked) -> Answer:
        asked.set()
        return Answer(frames=[b": hello\n\n"], hold=hold)

    server.routes[STREAM] = follow
    line = [
        "--url",
        server.url,
        "--token",
        TOKEN,
        "do",
        "x",
        "--project",
        "sample",
        "--wait",
        *more,
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "muster", *line],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert asked.wait(PATIENCE)
        os.kill(waiting.pid, signal.SIGINT)
        out, err = waiting.communicate(timeout=PATIENCE)
    hold.set()
    assert waiting.returncode == 130
    assert "MU-1 goes on" in err
    assert out == "" if not more else json.loads(out)["error"]["code"] == "interrupted"


def test_a_file_that_is_no_text_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "binary"
    file.write_bytes(b"\xff\xfe\x00")
    assert run("do", "-f", str(file), "--project", "sample").code == 2


def test_a_terminal_shows_what_the_agent_says_now_in_one_line_that_goes_away(
    server: Loopback,
) -> None:
    says = {"live_agent": canned.agent(last_line="reading \x1b[2Jsums.py")}
    _states(server, RUNNING | says, {"status": "completed", "stage": "completed"})
    code, said = on_terminal(server, "do", "x", "--project", "sample", "--wait")
    assert code == 0
    assert "\r\x1b[2Kreading sums.py\r\x1b[2KMU-1 · ✓ completed" in said
    _states(server, RUNNING | says, {"status": "completed", "stage": "completed"})
    code, said = on_terminal(server, "do", "x", "--project", "sample", "--wait", "--quiet")
    assert "reading" not in said
