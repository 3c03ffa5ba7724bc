"""`muster task show` of a task that events lead on, and `muster playbook`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.client import canned
from tests.client.loopback import Answer, Loopback

from muster.domain.playbook import CREW_BOOK

GOOD = """on:
  task.assigned: coding
  pr.created: reviewer
  pr.updated: reviewer
  pr.reviewed: reviewer
  pr.changes.requested: coding
  pr.approved: merge
  pr.merged: complete
limits: {pr.changes.requested: 5}
"""
BARE: dict[str, Any] = {
    "step": "begin", "rounds": 0, "way": [], "pull": None, "analysis": None, "reviews": [],
    "deployment": None, "events": [], "cause": None, "caused": [],
}  # fmt: skip


def _shown(run: Run, server: Loopback, **crew: Any) -> str:
    answer = canned.detail("It", playbook="crew", crew={**canned.detail("It")["crew"], **crew})
    server.routes["GET", "/api/tasks/MU-1"] = Answer(body=answer)
    ended = run("task", "show", "MU-1")
    assert ended.code == 0
    return ended.out


def test_a_task_shows_where_it_stands_and_what_each_role_said(run: Run, server: Loopback) -> None:
    shown = _shown(run, server)
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    start = lines.index("Playbook crew")
    assert lines[start + 1 : start + 7] == [
        "steps ✓ coding, ▸ reviewer, It",
        "rounds changes were asked for once",
        "pull request #1 open It",
        "deployed It It to It It",
        "because of MU-8 ⬣ failed It",
        "led to MU-9 ◆ proposed It",
    ]
    analysis, reviews, story = map(lines.index, ("Analysis It", "Reviews", "Story"))
    assert lines[analysis + 1 : analysis + 4] == ["It", "1. It (It)", "risk: It"]
    assert lines[reviews + 1 : reviews + 4] == [
        "◆ It asks for changes: It",
        "must It:3 It",
        "nit It It",
    ]
    assert lines[story + 2].startswith("4 pr.created It")


def test_where_nothing_was_done_yet_a_line_is_enough(run: Run, server: Loopback) -> None:
    shown = _shown(run, server, **BARE)
    assert "Playbook  crew\n\n" in shown
    assert not {"Analysis", "Reviews", "Story"} & set(shown.splitlines())


def test_a_task_of_one_agent_shows_no_playbook(run: Run, server: Loopback) -> None:
    server.routes["GET", "/api/tasks/MU-1"] = Answer(body=canned.detail("It", crew=None))
    assert "Playbook" not in run("task", "show", "MU-1").out


def test_long_stories_are_cut_where_they_are_old(run: Run, server: Loopback) -> None:
    one = {"type": "pr.updated", "state": "refused", "led_to": "it has ended", "time": None}
    remark = {"path": "a.py", "line": 1, "text": "odd", "severity": "must"}
    review = {"verdict": "approve", "by": "it", "summary": "", "comments": [remark] * 12}
    shown = _shown(
        run,
        server,
        events=[{**one, "event": n} for n in range(1, 41)],
        reviews=[review] * 7,
        deployment={"deployed": False, "notes": "no room"},
    )
    assert "… 10 events before" in shown
    assert "40  pr.updated  led nowhere: it has ended" in shown
    assert "… 2 before" in shown
    assert shown.count("… and 2 more remarks") == 5
    assert "nothing, no room" in shown


def test_playbooks_are_listed_with_whose_they_are_and_their_faults(run: Run) -> None:
    ended = run("playbook", "list", "--project", "sample")
    head, good, bad, plan = ended.out.splitlines()
    assert head.split() == ["PLAYBOOK", "FROM", "ABOUT"]
    assert good.split() == ["careful", "home", "careful"]
    assert bad.split()[:3] == ["careful-2", "home", "not"]
    assert plan.split()[:3] == ["plan", "built", "in"]
    assert "careful.yaml, line 3: careful; careful" in ended.err


def test_a_playbook_is_shown_as_its_table(run: Run, server: Loopback) -> None:
    table = {k: v for k, v in CREW_BOOK.as_json().items() if k != "name"}
    item = {**canned.playbooks()["items"][2], "name": "crew", "table": table}
    answer = {"project": "sample", "items": [item], "next": None}
    server.routes["GET", "/api/projects/sample/playbooks"] = Answer(body=answer)
    shown = run("playbook", "show", "crew", "--project", "sample")
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["EVENT", "LEADS", "TO", "AT", "MOST", "WHEN"] in rows
    assert ["pr.changes.requested", "coding", "3"] in [row[:3] for row in rows]
    assert shown.code == 0
    gone = run("playbook", "show", "none", "--project", "sample")
    assert gone.code != 0
    assert "playbooks: crew" in gone.err


def test_a_playbook_with_faults_is_shown_with_them(run: Run) -> None:
    ended = run("playbook", "show", "careful-2", "--project", "sample")
    assert ended.code == 1
    assert "line 3: careful" in ended.err


def test_a_file_is_checked_without_a_server(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "careful.yaml"
    file.write_text(GOOD)
    fine = run("playbook", "check", str(file), url="http://127.0.0.1:9")
    assert (fine.code, fine.out) == (0, f"{file} has no fault.\n")
    file.write_text(GOOD.replace("created: reviewer", "created: critic").replace("merged", "merge"))
    ended = run("playbook", "check", str(file))
    assert ended.code == 1
    assert [text.split(":")[0].rpartition(" ")[2] for text in ended.out.splitlines()] == ["3", "8"]
    told = json.loads(run("playbook", "check", str(file), "--json").out)["items"]
    assert [fault["line"] for fault in told] == [3, 8]
    assert all(fault["what"] and fault["remedy"] for fault in told)


@pytest.mark.parametrize("name", ["crew", "plan", "Big"])
def test_a_file_that_is_called_as_none_may_be_is_told(run: Run, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name}.yaml"
    file.write_text(GOOD)
    ended = run("playbook", "check", str(file))
    assert ended.code == 1
    assert f"'{name}' cannot be the name of a playbook" in ended.out


def test_a_file_that_is_not_there_is_said_to_be(run: Run, tmp_path: Path) -> None:
    ended = run("playbook", "check", str(tmp_path / "none.yaml"))
    assert ended.code == 2
    assert "cannot be read" in ended.err
