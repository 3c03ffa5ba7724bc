"""What people read: the pages, the tables, the exact patch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal
from tests.client import canned
from tests.client.loopback import TOKEN, Answer, Asked, Loopback, frame

from muster.cli import look
from muster.cli.look import Ink
from muster.cli.task_page import attempts

AGENT = "coding-1f3a9c02"


def test_a_task_shows_why_the_evidence_the_question_and_the_next_step(run: Run) -> None:
    page = run("task", "show", "MU-1").out
    lines = page.splitlines()
    assert lines[0] == "MU-1  Add a retry"
    assert lines[1] == "◆ needs you · attempt 2 of 3 · sample · feature"
    for part in (
        "why       Add a retry",
        "needs     MU-0",
        "agent     rehearsal on process",
        "commits   base aaaaaaaaaa, result bbbbbbbbbb",
        "changes   +10 -2 in 3 files",
        "manager   MU-1, ◆ needs you\n",
        "tests     Add a retry, ✓ completed, 3 tests, 1 of 2 files shown to the coder\n",
        "Workers\n  WORKER  STATE        NAME         COST   WHY\n  MU-1    ◆ needs you  Add a",
        "cost      $0.12, with its workers $0.36 of $2.00 · 12,300 tokens in, 4,100 out",
        "Attempt 1\n  coding-1f3a9c02  ⬣ failed · crashed · exit 1 · rehearsal on process",
        "  ✗ Add a retry  tests.broken\n      $ Add a retry\n      RUN          EXIT",
        "Add a retry  1            41 passed, 2 failed  1.2 s",
        "and 2 more",
        "  ✓ Add a retry",
        "  → tried again (confidence 0.75): Add a retry\n"
        "      for: Add a retry (+1.47); Add a retry (+0.30)\n"
        "      against: Add a retry (-0.50)\n"
        "      by 31 outcomes of this project\n"
        "  ✗ attempt 1 was wrong (confidence was 0.75): Add a retry",
        "Question\n  ◆ Add a retry\n    holds back 2 more\n    muster breakpoint resolve bp_1",
        "Next\n  muster worker list --manager MU-1\n  muster task diff MU-1",
        "Description\n  Add a retry\n\n  More of Add a retry",
    ):
        assert part in page, part


def test_a_task_says_why_there_is_no_confidence(run: Run, server: Loopback) -> None:
    verdict = canned.verdict("x") | {"confidence": None}
    verdict["sure"] = canned.sure("x", value=None, abstains="No tests show it.", against=[])
    old = {k: v for k, v in canned.verdict("x").items() if k != "sure"}
    body = canned.detail(verdicts=[verdict, old], outcomes=[canned.outcome(right=True)])
    server.routes["GET", "/api/tasks/MU-1"] = Answer(body=body)
    page = run("task", "show", "MU-1").out
    assert "  → tried again: x\n      no confidence: No tests show it.\n      for: x" in page
    assert "by 31 outcomes" not in page
    assert "  ✓ attempt 1 was right" in page


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"status": "proposed"}, "muster task approve MU-1"),
        ({"status": "failed"}, "muster task retry MU-1 --note TEXT"),
        ({"status": "executing", "live_agent": canned.agent()}, f"muster agent logs -f {AGENT}"),
        ({"status": "cancelled"}, "muster task retry MU-1"),
    ],
)
def test_the_next_step_follows_from_the_state(
    changes: dict[str, Any], step: str, run: Run, server: Loopback
) -> None:
    body = canned.detail(breakpoint=None, **changes)
    server.routes["GET", "/api/tasks/MU-1"] = Answer(body=body)
    assert (
        run("task", "show", "MU-1").out.rstrip().endswith(step)
        or step in run("task", "show", "MU-1").out.split("Next")[1]
    )


def test_a_manager_leads_to_its_workers_and_has_no_change_to_look_at(
    run: Run, server: Loopback
) -> None:
    body = canned.detail(breakpoint=None, status="completed", playbook="manager")
    server.routes["GET", "/api/tasks/MU-1"] = Answer(body=body)
    steps = run("task", "show", "MU-1").out.split("Next")[1]
    assert "muster worker list --manager MU-1" in steps
    assert "diff" not in steps


def test_a_bare_task_has_no_empty_parts(run: Run, server: Loopback) -> None:
    bare = canned.detail(
        "x", description="x", agents=[], verdicts=[], breakpoint=None, status="queued", attempt=0,
        reason="", needs_labels=[], paths=[], base_commit=None, result_commit=None, agent=None,
        runtime=None, files_changed=0, started_at=None, budget_usd=None, cost_usd=0.0,
        parent=None, workers=[], crew=None,
    )  # fmt: skip
    server.routes["GET", "/api/tasks/MU-1"] = Answer(body=bare)
    page = run("task", "show", "MU-1").out
    assert page.splitlines()[:2] == ["MU-1  x", "◌ queued · sample · feature"]
    for part in (
        "why",
        "Attempt",
        "Question",
        "Next",
        "Description",
        "branch",
        "changes",
        "Workers",
        "manager",
        "with its workers",
    ):
        assert part not in page


def test_the_log_of_a_task_is_told_from_the_beginning(run: Run) -> None:
    lines = run("task", "log", "MU-1").out.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["1", "2", "3"]
    items = json.loads(run("task", "log", "MU-1", "--json").out)["items"]
    assert [item["rev"] for item in items] == [1, 2, 3]


def test_why_a_task_was_decided_so_is_told_with_all_that_it_depended_on(run: Run) -> None:
    page = run("task", "log", "MU-1", "--why").out
    for part in (
        "2 of 3",
        "because: The tests fail.",
        "(chosen by a person)",
        "max_attempts 3",
        "attempt 1 by",
        "decided now it would be",
    ):
        assert part in page
    (item,) = json.loads(run("task", "log", "MU-1", "--why", "--json").out)["items"]
    assert item["case"]["tries"] == 2


def test_a_trial_of_settings_tells_what_would_be_otherwise(run: Run) -> None:
    tried = run("project", "try", "max_attempts", "1", "--project", "sample")
    assert "4 decisions, 2 the same, 1 otherwise, 1 of before" in tried.out
    assert "muster project set sample max_attempts 1" in tried.err
    assert run("project", "try", "max_attempts").code == 2


def test_a_trial_of_rules_tells_each_rule_and_which_hold_otherwise(
    run: Run, server: Loopback, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules: []\n")
    page = run("project", "try", "--rules", str(file), "--project", "sample").out
    assert server.asked[-1].body == {"settings": {}, "rules": "rules: []\n"}
    home = tmp_path / "home.yaml"
    home.write_text("rules: [] # of all\n")
    assert run("project", "try", "--home-rules", str(home), "--project", "sample").code == 0
    assert server.asked[-1].body == {"settings": {}, "home_rules": "rules: [] # of all\n"}
    assert "asked at 3 of them; at 1 none is" in page
    assert "sample  project  decisions  1     2           0            3" in page
    assert "+sample -sample" in page
    file.write_bytes(b"\xff")
    wrong = run("project", "try", "--rules", str(file), "--project", "sample")
    assert (wrong.code, "not UTF-8" in wrong.err) == (2, True)
    assert run("project", "try", "--rules", str(tmp_path / "none")).code == 2


def test_columns_are_aligned_whatever_the_letters(run: Run, server: Loopback) -> None:
    items = [canned.task("日本語", label="MU-1", project="漢字"), canned.task("b", label="MU-100")]
    server.routes["GET", "/api/tasks"] = Answer(body=canned.page(*items))
    head, first, second = run("task", "list").out.splitlines()
    assert look.width(first[: first.index("日")]) == look.width(second[: second.rindex("b (b")])
    assert head.index("TITLE") == look.width(first[: first.index("日")])


@pytest.mark.parametrize(
    ("attempt", "tries", "said"),
    [(0, 0, ""), (2, 0, "attempt 2"), (2, 2, "attempt 2 of 3"), (7, 1, "attempt 7, try 1 of 3")],
)
def test_attempts_are_counted_beside_the_tries_of_a_step(
    attempt: int, tries: int, said: str
) -> None:
    assert attempts({**canned.task(), "attempt": attempt, "tries": tries}) == said


def test_a_page_says_how_to_see_the_next(run: Run, server: Loopback) -> None:
    server.routes["GET", "/api/tasks"] = Answer(body=canned.page(canned.task(), next="7"))
    assert "muster task list --after 7" in run("task", "list").err
    server.routes["GET", "/api/events"] = Answer(body=canned.page(canned.event(), next=9))
    assert "muster event list --after 9" in run("event", "list").err


def test_tasks_are_those_of_the_current_directory_unless_all_are_asked_for(
    run: Run, server: Loopback
) -> None:
    run("task", "list")
    assert server.asked[-1].query["project"] == "prj_1"
    run("task", "list", "--all")
    assert "project" not in server.asked[-1].query
    run("task", "list", "--project", "other", "--status", "failed", "--after", "5")
    assert server.asked[-1].query == {
        "project": "other", "status": "failed", "limit": "100", "after": "5",
    }  # fmt: skip
    server.routes["GET", "/api/projects"] = Answer(body=canned.page())
    assert run("task", "list").code == 0
    assert "project" not in server.asked[-1].query


@pytest.mark.parametrize(
    ("line", "path", "words"),
    [
        ("task list", "tasks", "muster do"),
        ("agent list", "agents", "No agents"),
        ("inbox", "breakpoints", "Nothing waits for you"),
        ("breakpoint list", "breakpoints", "No questions"),
        ("project list", "projects", "muster init"),
        ("task checkpoints MU-1", "tasks/MU-1/checkpoints", "no checkpoints yet"),
    ],
)
def test_nothing_is_said_to_be_nothing(
    line: str, path: str, words: str, run: Run, server: Loopback
) -> None:
    server.routes["GET", f"/api/{path}"] = Answer(body=canned.inbox())
    ended = run(*line.split())
    assert (ended.code, ended.out) == (0, "")
    assert words in ended.err


# --- diffs ----------------------------------------------------------------------------------------


def test_a_diff_lists_the_files_and_then_their_changes(run: Run, server: Loopback) -> None:
    shown = run("task", "diff", "MU-1").out
    assert "renamed  +1 -1  sums.py (was sums.py)" in shown
    assert "-old sums.py\n+new sums.py" in shown
    assert "old sums.py" not in run("task", "diff", "MU-1", "--stat").out
    hides = canned.diff(patch='@@ -0,0 +1 @@\n+x = "\x1b]"; evil()  # \u2028-gone\n')
    server.routes["GET", "/api/tasks/MU-1/diff"] = Answer(body=hides)
    assert '+x = "␛]"; evil()  # \ufffd-gone\n' in run("task", "diff", "MU-1").out
    server.routes["GET", "/api/tasks/MU-1/diff"] = Answer(
        body=canned.diff(binary=True, truncated=True, patch="", old_path=None)
    )
    shown = run("task", "diff", "MU-1").out
    assert "binary" in shown
    assert "(more was left out)" in shown
    server.routes["GET", "/api/tasks/MU-1/diff"] = Answer(
        body={"base": None, "head": None, "added": 0, "removed": 0, "files": []}
    )
    assert "changed nothing yet" in run("task", "diff", "MU-1").err


def test_an_exact_patch_is_exact(run: Run, server: Loopback) -> None:
    patch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-\x1b[31mred\r\n+\u202eblue"
    server.routes["GET", "/api/tasks/MU-1/diff"] = Answer(body=canned.diff(patch=patch))
    assert run("task", "diff", "MU-1", "--patch").out == patch + "\n"


@pytest.mark.parametrize("part", ["binary", "truncated"])
def test_a_patch_that_is_not_whole_is_refused(part: str, run: Run, server: Loopback) -> None:
    server.routes["GET", "/api/tasks/MU-1/diff"] = Answer(body=canned.diff(**{part: True}))
    ended = run("task", "diff", "MU-1", "--patch")
    assert (ended.code, ended.out) == (1, "")


def test_files_that_are_left_out_of_a_change_are_told_and_never_missing_from_a_patch(
    run: Run, server: Loopback
) -> None:
    body = {**canned.diff(), "files_left_out": 7}
    server.routes["GET", "/api/tasks/MU-1/diff"] = Answer(body=body)
    assert "7 more files are not here" in run("task", "diff", "MU-1").err
    ended = run("task", "diff", "MU-1", "--patch")
    assert (ended.code, ended.out) == (1, "")
    assert f"git diff --binary {'a' * 40} {'b' * 40}" in ended.err


def test_a_patch_of_bytes_that_no_json_carries_is_refused(run: Run, server: Loopback) -> None:
    latin = canned.diff(patch="@@ -0,0 +1 @@\n+gr\ufffd\ufffde\n")
    server.routes["GET", "/api/tasks/MU-1/diff"] = Answer(body=latin)
    ended = run("task", "diff", "MU-1", "--patch")
    assert (ended.code, ended.out) == (1, "")
    assert "not all UTF-8" in ended.err


# --- agents ---------------------------------------------------------------------------------------


def test_an_agent_can_be_named_by_its_task(run: Run, server: Loopback) -> None:
    assert run("agent", "show", "MU-1").out.startswith(AGENT)
    assert server.asked[-2].query == {"task": "MU-1", "limit": "1"}
    server.routes["GET", "/api/agents"] = Answer(body=canned.page())
    assert run("agent", "logs", "MU-1").code == 3


def test_a_question_can_be_named_by_its_task(run: Run, server: Loopback) -> None:
    assert run("breakpoint", "resolve", "MU-1", "merge", "--note", "fine").code == 0
    assert server.asked[-1].path == "/api/breakpoints/bp_1/resolve"
    assert server.asked[-1].body == {"answer": "merge", "note": "fine"}
    server.routes["GET", "/api/tasks/MU-1"] = Answer(body=canned.detail(breakpoint=None))
    assert run("breakpoint", "show", "MU-1").code == 3


def _paged_logs(asked: Asked) -> Answer:
    text = "x" * 10
    start = int(asked.query.get("offset") or 0)
    if start == 10:
        gap = {"from": 10, "to": 20}
        return Answer(body={"items": [], "next": 20, "truncated": gap, "ended": True})
    if start >= 30:
        return Answer(body={"items": [], "next": 30, "truncated": None, "ended": True})
    item = {"offset": start, "time": canned.MORNING, "stream": "out", "text": text}
    return Answer(body={"items": [item], "next": start + 10, "truncated": None, "ended": True})


def test_a_log_is_read_to_its_end_and_gaps_are_said(run: Run, server: Loopback) -> None:
    server.routes["GET", f"/api/agents/{AGENT}/logs"] = _paged_logs
    shown = run("agent", "logs", AGENT).out
    assert shown == "x" * 10 + "\n[bytes 10 to 20 were not kept]\n" + "x" * 10
    document = json.loads(run("agent", "logs", AGENT, "--json").out)
    assert [item["offset"] for item in document["items"]] == [0, 20]
    assert (document["next"], document["truncated"]) == (30, {"from": 10, "to": 20})


def test_a_log_is_followed_to_its_end(run: Run, server: Loopback) -> None:
    frames = [
        frame("log", {"offset": 0, "stream": "out", "text": "one \x1b[3"}, 8),
        frame("log", {"offset": 8, "stream": "err", "text": "1mtwo\n"}, 14),
        frame("truncated", {"from": 14, "to": 20}, 20),
        frame("end", {"exit_code": 0, "outcome": "completed"}, 20),
    ]
    server.routes["GET", f"/api/agents/{AGENT}/logs"] = Answer(frames=frames)
    ended = run("agent", "logs", "-f", AGENT)
    assert ended.out == "one two\n\n[bytes 14 to 20 were not kept]\n"
    assert f"{AGENT}: completed" in ended.err
    lines = run("agent", "logs", "-f", AGENT, "--json").out.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["log", "log", "truncated", "end"]


def test_following_can_start_near_the_end(run: Run, server: Loopback) -> None:
    run("agent", "logs", "-f", AGENT, "--tail", "3")
    assert [a.query for a in server.asked] == [{"tail": "3"}, {}]
    assert server.asked[-1].headers["last-event-id"] == "0"
    run("agent", "logs", "-f", AGENT, "--offset", "4")
    assert server.asked[-1].headers["last-event-id"] == "4"


def test_only_running_agents_can_be_asked_for(run: Run, server: Loopback) -> None:
    run("agent", "list", "--active")
    assert server.asked[-1].path == "/api/agents/active"


def test_a_transcript_is_saved_and_nothing_is_overwritten(
    run: Run, tmp_path: Path, server: Loopback
) -> None:
    file = tmp_path / "a.jsonl"
    assert run("record", AGENT, str(file)).code == 0
    assert file.read_text() == '{"t": 0, "kind": "out"}\n'
    file.write_text("mine")
    assert run("record", AGENT, str(file)).code == 5
    assert file.read_text() == "mine"
    told = json.loads(run("record", AGENT, str(file), "--force", "--json").out)
    assert told == {"agent": AGENT, "file": str(file), "parts": 1}
    assert run("record", AGENT, str(tmp_path / "no" / "folder")).code == 2


# --- events and settings --------------------------------------------------------------------------


def test_events_are_followed_one_line_each(run: Run, server: Loopback) -> None:
    told = [canned.event(1), canned.event(2, type="x.y"), canned.event(3, task_id="tsk_2")]
    server.routes["GET", "/api/events/stream"] = Answer(
        frames=[frame(e["type"], e, e["rev"]) for e in told]
    )
    line = ["event", "tail", "--after", "0", "--json", "-n"]
    revs = [json.loads(text)["rev"] for text in run(*line, "3").out.splitlines()]
    assert revs == [1, 2, 3]
    assert json.loads(run(*line, "1", "--type", "x.y").out)["rev"] == 2
    server.routes["GET", "/api/tasks/MU-9"] = Answer(body=canned.detail(id="tsk_2"))
    assert json.loads(run(*line, "1", "--task", "MU-9").out)["rev"] == 3


def test_an_event_of_ones_own_is_emitted(run: Run, server: Loopback) -> None:
    line = ["event", "emit", "ci.done", "build", "--payload", '{"n": 1}', "--task", "MU-1"]
    assert run(*line).out == "event 5  task.queued\n"
    assert server.asked[-1].body == {
        "type": "ci.done", "subject": "build", "payload": {"n": 1}, "task_id": "MU-1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "path", "settings"),
    [
        ("sample agent claude", "sample", {"agent": "claude"}),
        ("agent claude", "prj_1", {"agent": "claude"}),
        ("sample agent default", "sample", {"agent": None}),
        ("sample agent --unset", "sample", {"agent": None}),
        ("agent --unset", "prj_1", {"agent": None}),
    ],
)
def test_a_setting_is_set_or_taken_back(
    line: str, path: str, settings: dict[str, Any], run: Run, server: Loopback
) -> None:
    assert run("project", "set", *line.split()).code == 0
    assert server.asked[-1].path == f"/api/projects/{path}"
    assert server.asked[-1].body == {"settings": settings}


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("pause", {"paused": True}),
        ("resume", {"paused": False}),
        ("set paused yes stop_on_failure no", {"paused": True, "stop_on_failure": False}),
        ("set --max-concurrent 3 --no-stop-on-failure",
         {"max_concurrent": 3, "stop_on_failure": False}),
    ],
)  # fmt: skip
def test_the_queue_is_steered(line: str, body: dict[str, Any], run: Run, server: Loopback) -> None:
    assert run("queue", *line.split()).code == 0
    assert server.asked[-1].body == body


def test_the_queue_says_how_to_go_on(run: Run, server: Loopback) -> None:
    shown = run("queue", "show").out
    assert shown.count("muster queue resume") == 2
    assert "MU-1 failed: Add a retry" in shown
    assert "muster task retry MU-1" in shown
    assert "processor" not in shown
    server.routes["GET", "/api/queue"] = Answer(
        body={
            "items": [],
            "completed": [],
            "settings": canned.settings(processor=False),
            "stopped": None,
            "running": 0,
            "waiting": 0,
        }
    )
    shown = run("queue", "show").out
    assert "resume" not in shown
    assert "this server starts nothing: queue_processor is off" in shown
    assert "The list is empty." in shown


def test_how_agents_do_is_told_in_words(run: Run, server: Loopback) -> None:
    shown = run("agent", "analytics", "--project", "sample").out
    assert server.asked[-1].query == {"project": "sample", "since": "30d"}
    spread = "half within 4.0 s, 90 % within 1 min 10 s, the longest 1 h 1 min (9)"
    assert f"  a task took    {spread}" in shown
    assert "  queued now     9, the oldest for 1 h 1 min, half for 4.0 s or less" in shown
    assert "waited to start" not in shown
    assert "3 times changes were asked for of 4 tasks, at most 2 of one" in shown
    assert re.search(r"role +coding +8 +2 +0 +1 +80 % +11 +\$1.25", shown)
    assert re.search(rf"coding +9 +1 +2 +{re.escape(spread)}", shown)
    assert re.search(r"auditor +1 +0 +0\s*$", shown)


def test_where_a_task_came_to_stand_is_said(run: Run, server: Loopback) -> None:
    assert run("queue", "move", "MU-1", "3").out == "MU-1 is on the list, number 1 of 1\n"
    assert server.asked[-1].body == {"position": 3}
    assert run("queue", "move", "MU-1", "0").code == 2
    assert run("task", "priority", "MU-1", "10").code == 2


def test_a_stopped_list_stands_on_top_of_the_inbox(run: Run, server: Loopback) -> None:
    shown = run("inbox").out
    head, _, rest = shown.partition("\n\n")
    assert head.startswith("The list is stopped")
    assert "MU-1 failed: the tests fail" in head
    assert "holds back 2 more" in head
    assert head.splitlines()[-2:] == ["    muster queue resume", "    muster task retry MU-1"]
    assert "muster breakpoint resolve bp_1" in rest
    asked = Answer(body=canned.inbox(stop=canned.stopped(holds_back=0, why="")))
    server.routes["GET", "/api/breakpoints"] = asked
    alone = run("inbox").out
    assert "holds back" not in alone
    assert "MU-1 failed\n" in alone


def test_an_answered_question_shows_the_answer(run: Run, server: Loopback) -> None:
    said = {"answer": "merge", "by": "Ada", "note": "fine", "resolved_at": canned.MORNING}
    done = canned.question(open=False, evidence={}, **said)
    server.routes["GET", "/api/breakpoints/bp_1"] = Answer(body=done)
    shown = run("breakpoint", "show", "bp_1").out
    assert "answer  merge" in shown
    assert "resolve" not in shown
    server.routes["GET", "/api/breakpoints"] = Answer(body=canned.inbox(done))
    listed = run("breakpoint", "list", "--all").out
    assert "merge" in listed
    assert "by Ada after" in listed
    assert listed.rstrip().count(": fine") == 1
    assert "ANSWERED" not in run("breakpoint", "list").out


def test_figures_tell_how_sure_the_verdicts_of_each_day_were(run: Run, server: Loopback) -> None:
    server.routes["GET", "/api/metrics"] = Answer(body=canned.metrics())
    shown = run("metrics").out
    assert "Brier 0.120" in shown
    (day,) = [line.split() for line in shown.splitlines() if line.startswith("2026-11-2")]
    assert day == ["2026-11-20", "3", "2", "0.75"]


# --- small things ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (1.26, "1.3 s"), (59.4, "59 s"), (60, "1 min"), (192, "3 min 12 s"),
     (3600, "1 h"), (3661, "1 h 1 min"), (90_000, "1 d 1 h")],
)  # fmt: skip
def test_a_length_of_time_is_said_in_two_units(seconds: float, text: str) -> None:
    assert look.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (90, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago"),
     (-90, "in 1 min")],
)  # fmt: skip
def test_a_moment_is_said_as_its_distance(seconds: float, text: str) -> None:
    then = datetime.now(UTC) - timedelta(seconds=seconds + (0.5 if seconds >= 0 else -0.5))
    assert look.ago(then.isoformat()) == text


def test_a_moment_that_is_none_is_nothing() -> None:
    assert look.ago(None) == look.ago("soon") == look.between(None, None) == ""


@pytest.mark.parametrize(("usd", "text"), [(None, "$0"), (0.004, "<$0.01"), (1234.5, "$1,234.50")])
def test_money_is_said_in_cents(usd: float | None, text: str) -> None:
    assert look.money(usd) == text


def test_an_unknown_state_is_shown_as_it_is() -> None:
    assert Ink(False).state("on\x1b[2Jhold") == "· onhold"
    assert Ink(False).mark("new") == "·"


@pytest.mark.parametrize(
    ("text", "columns", "shown"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 5, "日本…")]
)
def test_a_text_is_cut_to_columns_not_to_characters(text: str, columns: int, shown: str) -> None:
    assert look.cut(text, columns) == shown


# --- the terminal ---------------------------------------------------------------------------------


def test_a_terminal_gets_colour_and_lines_that_fit(server: Loopback) -> None:
    long = canned.task("a long title " * 20)
    server.routes["GET", "/api/tasks"] = Answer(body=canned.page(long))
    _, shown = on_terminal(server, "task", "list")
    assert "\x1b[33m◆ needs you\x1b[0m" in shown
    assert "…" in shown
    assert all(look.width(line) <= 60 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("args", "env"), [(["--no-color"], {}), ([], {"NO_COLOR": "0"}), (["--json"], {})]
)
def test_a_terminal_gets_no_colour_when_none_is_wanted(
    args: list[str], env: dict[str, str], server: Loopback
) -> None:
    assert "\x1b" not in on_terminal(server, "task", "list", *args, env=env)[1]


def test_an_exact_patch_is_not_printed_on_a_terminal(server: Loopback) -> None:
    code, said = on_terminal(server, "task", "diff", "MU-1", "--patch")
    assert code == 2
    assert "goes into a file" in said
    assert "+new" not in said


def test_a_terminal_gets_only_the_agents_colour(server: Loopback) -> None:
    text = "\x1b[32mgreen\x1b[0m\x1b]0;title\x07\x1b[2J\n"
    item = {"offset": 0, "time": canned.MORNING, "stream": "out", "text": text}
    server.routes["GET", f"/api/agents/{AGENT}/logs"] = Answer(
        frames=[frame("log", item, 9), frame("end", {}, 9)]
    )
    _, shown = on_terminal(server, "agent", "logs", "-f", AGENT, "-q")
    assert shown == "\x1b[32mgreen\x1b[0m\n"


def test_a_reader_that_has_had_enough_is_no_failure(server: Loopback) -> None:
    told = [frame("task.queued", canned.event(n), n) for n in range(1, 3000)]
    server.routes["GET", "/api/events/stream"] = Answer(frames=told)
    line = [sys.executable, "-m", "muster", "--url", server.url, "--token", TOKEN]
    with subprocess.Popen(
        [*line, "event", "tail", "--after", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(20) == 0
