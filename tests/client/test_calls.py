"""What a call does: the right route, the right error, one thing per key, and an end in time."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client import canned
from tests.client.loopback import TOKEN, Answer, Loopback, problem

from muster.client import Clock, Muster, Patience
from muster.client.home import running_server
from muster.domain import errors

AGENT = "coding-1f3a9c02"
ROUTES: dict[str, Callable[[Muster], Any]] = {
    "GET /api/health": lambda m: m.health(),
    "GET /api/projects": lambda m: m.list_projects(path="/x"),
    "GET /api/projects/sample": lambda m: m.get_project("sample"),
    "POST /api/projects": lambda m: m.add_project("/x", name="x", settings={"agent": "y"}),
    "PATCH /api/projects/sample": lambda m: m.change_project("sample", {"agent": None}),
    "DELETE /api/projects/sample": lambda m: m.remove_project("sample"),
    "GET /api/tasks": lambda m: m.list_tasks(project="sample", status="queued", after="3"),
    "GET /api/tasks/MU-1": lambda m: m.get_task("MU-1"),
    "POST /api/tasks": lambda m: m.create_task("sample", "do it", title="T", after=["MU-1"]),
    "POST /api/tasks/MU-1/approve": lambda m: m.approve_task("MU-1"),
    "POST /api/tasks/MU-1/cancel": lambda m: m.cancel_task("MU-1"),
    "POST /api/tasks/MU-1/retry": lambda m: m.retry_task("MU-1", "why"),
    "POST /api/tasks/MU-1/merge": lambda m: m.merge_task("MU-1"),
    "POST /api/tasks/MU-1/outcome": lambda m: m.tell_outcome("MU-1", "wrong", "why"),
    "PATCH /api/tasks/MU-1": lambda m: m.set_budget("MU-1", 20.0),
    "GET /api/tasks/MU-1/diff": lambda m: m.task_diff("MU-1"),
    "GET /api/tasks/MU-1/debug-bundle": lambda m: m.debug_bundle("MU-1", io.BytesIO()),
    "GET /api/tasks/MU-1/checkpoints": lambda m: m.list_checkpoints("MU-1"),
    "GET /api/tasks/MU-1/decisions": lambda m: m.decisions("MU-1"),
    "POST /api/projects/sample/try": lambda m: m.try_policy(
        "sample", {"max_attempts": 1}, "rules: []"
    ),
    "POST /api/tasks/MU-1/checkpoints": lambda m: m.take_checkpoint("MU-1", "half way"),
    "POST /api/tasks/MU-1/checkpoints/1/fork": lambda m: m.fork_task("MU-1", 1, agent="codex"),
    "POST /api/tasks/MU-1/checkpoints/1/restore": lambda m: m.restore_checkpoint("MU-1", 1),
    "GET /api/metrics": lambda m: m.metrics(project="sample", since="7d"),
    "GET /api/agents/analytics": lambda m: m.agent_analytics(since="all"),
    "GET /api/agents": lambda m: m.list_agents(task="MU-1", limit=5),
    "GET /api/agents/active": lambda m: m.active_agents(),
    f"GET /api/agents/{AGENT}": lambda m: m.get_agent(AGENT),
    "POST /api/agents/spawn": lambda m: m.spawn_agent("MU-1"),
    f"POST /api/agents/{AGENT}/kill": lambda m: m.kill_agent(AGENT),
    f"POST /api/agents/{AGENT}/send": lambda m: m.tell_agent(AGENT, "Use decimals."),
    f"POST /api/agents/{AGENT}/retry": lambda m: m.retry_agent(AGENT),
    f"GET /api/agents/{AGENT}/logs": lambda m: m.agent_logs(AGENT, offset=0, limit=5),
    f"GET /api/agents/{AGENT}/cassette": lambda m: m.cassette(AGENT),
    "GET /api/events": lambda m: m.list_events(after=3, type="x.y"),
    "GET /api/events/pending": lambda m: m.list_events(processed=False, task="MU-1"),
    "GET /api/events/processed": lambda m: m.list_events(processed=True),
    "GET /api/events/4": lambda m: m.get_event(4),
    "POST /api/events": lambda m: m.emit_event("ci.done", "build", {"n": 1}),
    "POST /api/events/4/processed": lambda m: m.mark_processed(4),
    "GET /api/queue": lambda m: m.get_queue(),
    "GET /api/queue/settings": lambda m: m.queue_settings(),
    "POST /api/queue/settings": lambda m: m.set_queue(max_concurrent=3),
    "POST /api/queue/add/MU-1": lambda m: m.queue_add("MU-1", position=2),
    "POST /api/queue/order": lambda m: m.queue_order(["MU-1"]),
    "DELETE /api/queue/MU-1": lambda m: m.queue_remove("MU-1"),
    "POST /api/queue/clear": lambda m: m.queue_clear(),
    "GET /api/tokens": lambda m: m.list_tokens(),
    "POST /api/tokens": lambda m: m.create_token("anna", roles=["lead"], expires="30d"),
    "DELETE /api/tokens/tok_1": lambda m: m.revoke_token("tok_1"),
    "GET /api/github/status": lambda m: m.github_status(),
    "GET /api/github/repo/team%2Fapp": lambda m: m.github_repository("team/app"),
    "GET /api/github/repo/team%2Fapp/default-branch": lambda m: m.github_default_branch("team/app"),
    "GET /api/github/clone-url/team%2Fapp": lambda m: m.github_clone_url("team/app"),
    "POST /api/github/push": lambda m: m.github_push("MU-1"),
    "POST /api/github/pr": lambda m: m.open_pull(task="MU-1", draft=True),
    "GET /api/github/pr/team%2Fapp/7": lambda m: m.get_pull("team/app", 7),
    "GET /api/github/prs/team%2Fapp": lambda m: m.list_pulls("team/app", state="all"),
    "POST /api/github/pr/team%2Fapp/7/merge": lambda m: m.merge_pull(
        "team/app", 7, method="squash"
    ),
    "POST /api/github/ensure-remote/team%2Fapp": lambda m: m.ensure_remote("team/app"),
    "GET /api/breakpoints": lambda m: m.list_breakpoints(open_only=False),
    "GET /api/projects/sample/playbooks": lambda m: m.list_playbooks("sample"),
    "GET /api/projects/sample/breakpoint-rules": lambda m: m.breakpoint_rules("sample"),
    "GET /api/projects/sample/reliability": lambda m: m.reliability("sample", 0.1),
    "GET /api/breakpoints/bp_1": lambda m: m.get_breakpoint("bp_1"),
    "POST /api/breakpoints/bp_1/resolve": lambda m: m.resolve_breakpoint("bp_1", "merge", "ok"),
}


@pytest.mark.parametrize("route", ROUTES)
def test_each_method_asks_its_route_with_the_token(
    route: str, muster: Muster, server: Loopback
) -> None:
    ROUTES[route](muster)
    asked = server.asked[-1]
    assert f"{asked.method} {asked.path}" == route
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert ("idempotency-key" in asked.headers) == (asked.method == "POST")


def test_only_what_was_given_is_sent(muster: Muster, server: Loopback) -> None:
    muster.list_tasks(status="queued")
    assert server.asked[-1].query == {"status": "queued", "limit": "100"}
    muster.create_task("sample", "do it", priority=3, model=None)
    assert server.asked[-1].body == {"project": "sample", "description": "do it", "priority": 3}
    muster.set_queue(paused=False)
    assert server.asked[-1].body == {"paused": False}
    muster.list_breakpoints()
    assert server.asked[-1].query == {"state": "open"}
    muster.queue_add("MU-1")
    assert server.asked[-1].body == {}
    muster.set_priority("MU-1", 0)
    assert server.asked[-1].body == {"priority": 0}


def test_an_id_cannot_climb_out_of_its_route(muster: Muster, server: Loopback) -> None:
    with pytest.raises(errors.NotFound):
        muster.get_task("../queue?x=1")
    assert server.asked[-1].path == "/api/tasks/..%2Fqueue%3Fx%3D1"


def test_calls_share_one_connection(muster: Muster, server: Loopback) -> None:
    for _ in range(3):
        muster.get_queue()
    assert len({asked.connection for asked in server.asked}) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_not_noticed(
    muster: Muster, server: Loopback
) -> None:
    server.faults.append("close after")
    muster.get_queue()
    assert muster.get_queue()["running"] == 1


def test_a_lost_answer_makes_no_second_task(muster: Muster, server: Loopback) -> None:
    made: dict[str, dict[str, Any]] = {}

    def create(asked: Any) -> Answer:
        key = asked.headers["idempotency-key"]
        made.setdefault(key, canned.task(id=f"tsk_{len(made)}"))
        return Answer(201, made[key])

    server.routes["POST", "/api/tasks"] = create
    server.faults.extend(["drop", "lose the answer", problem(503, "unreachable"), None])
    assert muster.create_task("sample", "do it")["id"] == "tsk_0"
    assert len(made) == 1
    muster.create_task("sample", "do it")
    assert len(made) == 2, "another call is another task"


def test_a_key_that_was_given_is_the_one_that_is_sent(muster: Muster, server: Loopback) -> None:
    muster.create_task("sample", "do it", key="mine")
    assert server.asked[-1].headers["idempotency-key"] == "mine"
    with pytest.raises(errors.Invalid, match="cannot be an idempotency key"):
        muster.create_task("sample", "do it", key="a\r\nX-Other: b")


def test_a_removal_whose_answer_was_lost_is_done(muster: Muster, server: Loopback) -> None:
    removed: list[str] = []

    def remove(asked: Any) -> Answer:
        if removed:
            return problem(404, "not-found")
        removed.append(asked.path)
        return Answer(204)

    server.routes["DELETE", "/api/projects/sample"] = remove
    server.faults.append("lose the answer")
    muster.remove_project("sample")
    with pytest.raises(errors.NotFound):
        muster.remove_project("sample")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 507])
def test_a_passing_trouble_is_waited_out(
    status: int, muster: Muster, server: Loopback, time: Any
) -> None:
    server.faults.extend([problem(status, "x"), problem(status, "x")])
    assert muster.get_queue()["running"] == 1
    first, second = time.slept
    assert 0.05 <= first <= 0.1 <= second <= 0.2


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [("7", 7, 7), ("Sat, 01 Jan 2000 00:00:00 GMT", 0, 0), ("x", 0, 0.1)],
)
def test_the_wait_that_the_server_asks_for_is_honoured(
    asked: str, least: float, most: float, muster: Muster, server: Loopback, time: Any
) -> None:
    server.faults.append(Answer(429, {}, {"Retry-After": asked}))
    muster.get_queue()
    assert least <= time.slept[0] <= most


def test_a_wait_beyond_the_patience_is_not_begun(
    muster: Muster, server: Loopback, time: Any
) -> None:
    server.faults.append(Answer(503, {"code": "no-room"}, {"Retry-After": "3600"}))
    with pytest.raises(errors.NoRoom):
        muster.get_queue()
    assert time.slept == []


def test_a_server_that_is_away_is_given_up_after_six_tries(time: Any) -> None:
    with Loopback() as gone:
        url = gone.url
    with (
        Muster(url, TOKEN, clock=Clock(lambda: time.now, time.sleep)) as muster,
        pytest.raises(errors.Unreachable) as e,
    ):
        muster.get_queue()
    assert url in e.value.detail
    assert len(time.slept) == 5
    assert sum(time.slept) < 5


def _all_errors(kind: type[errors.MusterError]) -> list[type[errors.MusterError]]:
    here = [kind] if kind.__module__ == errors.__name__ else []
    return here + [e for child in kind.__subclasses__() for e in _all_errors(child)]


@pytest.mark.parametrize("kind", _all_errors(errors.MusterError), ids=lambda k: k.code)
def test_a_problem_becomes_the_error_it_was(
    kind: type[errors.MusterError], muster: Muster, server: Loopback
) -> None:
    original = kind("something happened", hint="do this", cycle=["MU-1"])
    status = 400 if original.status in {500, 503, 507} else original.status
    server.faults.append(Answer(status, original.problem()))
    with pytest.raises(kind) as raised:
        muster.get_queue()
    assert type(raised.value) is kind
    assert raised.value.problem() == original.problem() | {"status": status}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"code": "http-404", "title": "Not Found"}, errors.NotFound),
        (412, {"code": "changed-meanwhile", "detail": "x"}, errors.Conflict),
        (401, "who are you", errors.NotSignedIn),
        (403, ["no"], errors.NotAllowed),
        (418, None, errors.MusterError),
    ],
)
def test_an_unknown_problem_is_told_by_its_status(
    status: int, body: Any, kind: type[Exception], muster: Muster, server: Loopback
) -> None:
    server.faults.append(Answer(status, body))
    with pytest.raises(kind):
        muster.get_queue()
    assert len(server.asked) == 1, "it is not tried again"


def test_something_else_on_the_port_is_called_so(muster: Muster, server: Loopback) -> None:
    server.faults.append(Answer(200, "<html>hello"))
    with pytest.raises(errors.Unreachable, match="is not muster"):
        muster.get_queue()


@pytest.mark.parametrize("url", ["", "localhost:3020", "ftp://x", "http://", "http://x:y"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.Invalid, match="address"):
        Muster(url)


def test_a_token_that_would_end_the_header_is_refused() -> None:
    with pytest.raises(errors.Invalid):
        Muster("http://127.0.0.1:1", "a\r\nb")


def test_a_password_in_the_address_is_not_repeated() -> None:
    assert "secret" not in Muster("http://me:secret@127.0.0.1:1/base/").url


# --- the home -------------------------------------------------------------------------------------


def _home(tmp_path: Path, url: str, pid: int, token: str = TOKEN) -> Path:
    (tmp_path / "server.json").write_text(json.dumps({"url": url, "pid": pid}))
    (tmp_path / "token").write_text(token + "\n")
    return tmp_path


def test_a_home_leads_to_its_server(tmp_path: Path, server: Loopback) -> None:
    home = _home(tmp_path, server.url, os.getpid())
    with Muster.from_home(home, patience=Patience(seconds=5)) as muster:
        assert muster.url == server.url
        assert muster.get_queue()["running"] == 1


def test_a_file_left_by_a_killed_server_leads_nowhere(tmp_path: Path, server: Loopback) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    home = _home(tmp_path, server.url, ended.pid)
    with pytest.raises(errors.Unreachable, match=re.escape(str(home))) as e:
        Muster.from_home(home)
    assert "up" in e.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "x"}', '{"url": "x", "pid": "y"}'])
def test_a_broken_server_file_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(text)
    assert running_server(tmp_path) is None


def test_a_dead_process_that_nobody_has_buried_does_not_count(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.read() == b"", "it has ended and is not waited for"
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert running_server(_home(tmp_path, "http://127.0.0.1:1", child.pid)) is None


def test_a_server_on_every_address_is_called_on_this_machines_own(tmp_path: Path) -> None:
    for url, called in (("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")):
        found = running_server(_home(tmp_path, f"http://{url}:3020", os.getpid()))
        assert found is not None
        assert found.url == f"http://{called}:3020"


def test_another_users_server_counts_as_running(tmp_path: Path) -> None:
    assert running_server(_home(tmp_path, "http://127.0.0.1:1", 1)) is not None


@pytest.mark.parametrize("token", [None, ""])
def test_a_home_without_a_token_says_so(token: str | None, tmp_path: Path) -> None:
    home = _home(tmp_path, "http://127.0.0.1:1", os.getpid(), token or "")
    if token is None:
        (home / "token").unlink()
    with pytest.raises(errors.NotSignedIn, match="token"):
        Muster.from_home(home)


def test_the_client_needs_only_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import muster.client\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["muster"]
