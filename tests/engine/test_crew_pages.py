"""What people see of a crew: its steps, its trail, and the playbooks that they may ask for."""

from __future__ import annotations

import pytest

from engine.crews import CHANGES, FILES, TESTS, crew
from engine.houses import town
from muster.domain.event import Event
from muster.domain.playbook import BEGIN, CREW_BOOK, PART_BOOK, ROUTED, Playbook, straight_way
from muster.service.shapes import trail_shape

OWN = """# Two read each change.
on:
  task.assigned: coding
  pr.created: reviewer
  pr.updated: reviewer
  pr.reviewed: reviewer
  pr.changes.requested: coding
  pr.approved: merge
  pr.merged: complete
limits: {pr.changes.requested: 5}
reviewers: 2
"""
ODD = dict.fromkeys(("by", "summary", "url", "head", "about", "reason", "why"), "\x1b[2Jx") | {
    "steps": 3, "tasks": ["\x1b[2J", 7], "number": {"a": 7}, "notes": ["\x1b[2J"],
}  # fmt: skip


async def test_a_walked_task_shows_its_steps_and_reads_well(tmp_path):
    agents = crew(tmp_path, reviewer_1=CHANGES)
    books = tmp_path / "home" / "playbooks"
    files = {**FILES, ".muster/playbooks/theirs.yaml": OWN.partition("\n")[2]}
    async with town(tmp_path, agents, files, test_command=TESTS, deploy_command="true") as place:
        books.mkdir()
        (books / "two.yaml").write_text(OWN)
        (books / "bad.yaml").write_text(OWN.replace("merge\n", "merg\n"))
        (books / "dir.yaml").mkdir()
        made = await place.submit(None, "write it", playbook="crew")
        found = await place.service.list_playbooks("repo")
        task = await place.until(made["id"])
        await place.service.add_project({"path": str(place.repo), "trust": True})
        trusted = (await place.service.list_playbooks("repo"))["items"]
    roles = ("starter", "coding", "reviewer", "merge", "deployer", "verifier")
    assert task["crew"]["way"] == [{"step": step, "state": "done"} for step in roles]
    assert [line["text"] for line in task["trail"] if line["type"] == "pr.created"] == [
        f"Offered as pull request #1: muster/{made['id']}"
    ]
    told = {line["type"]: line for line in task["trail"]}
    assert told["pr.changes.requested"]["text"].startswith("A reviewer asks for changes (reviewer-")
    assert told["verify.passed"]["state"] == "ok"
    items = {item["name"]: item for item in found["items"]}
    assert list(items) == ["solo", "manager", "crew", "plan", "bad", "dir", "two"]
    theirs = next(item for item in trusted if item["name"] == "theirs")
    assert (theirs["source"], theirs["about"]) == ("project", "coding → reviewer → merge")
    assert items["two"]["about"] == "Two read each change."
    assert (items["two"]["source"], items["two"]["table"]["reviewers"]) == ("home", 2)
    assert [fault["line"] for fault in items["bad"]["faults"]] == [8]
    assert "cannot be read" in items["dir"]["faults"][0]["what"]
    assert items["crew"]["table"]["on"]["task.assigned"] == "starter"


def test_the_way_ahead_is_the_one_on_which_nothing_goes_wrong():
    rest = ("reviewer", "merge", "deployer", "verifier")
    assert straight_way(CREW_BOOK, BEGIN) == ("starter", "coding", *rest)
    assert straight_way(CREW_BOOK, "coding") == rest
    assert straight_way(CREW_BOOK, "auditor") == ()
    assert straight_way(PART_BOOK, BEGIN)[0] == "coding"
    asks = Playbook("mine", {"task.assigned": "coding", "pr.created": "ask"})
    assert straight_way(asks, BEGIN) == ("coding",)


def test_the_way_goes_on_from_what_somebody_outside_says():
    on = {"task.assigned": "coding", "ci.finished": "merge", "pr.merged": "complete"}
    book = Playbook("mine", on, waits_for=frozenset({"pr.created", "ci.finished"}))
    assert straight_way(book, BEGIN) == ("coding", "merge")


@pytest.mark.parametrize("kind", sorted(ROUTED))
@pytest.mark.parametrize("odd", [{}, ODD])
def test_every_event_of_a_playbook_reads_as_a_line_whatever_it_says(kind, odd):
    line = trail_shape(Event(4, 0, kind, "MU-1", odd))
    assert line is not None
    assert line["text"][0].isupper()
    assert "None" not in line["text"]
    assert "  " not in line["text"]
    assert " :" not in line["text"]
    assert "\x1b" not in line["text"]


def test_what_was_deployed_is_said_in_a_line():
    record = {"commit": "c" * 40, "version": "1.2", "environment": "staging", "url": "", "by": "d"}
    line = trail_shape(Event(4, 0, "deploy.completed", "MU-1", record))
    assert line is not None
    assert line["text"] == "Deployed cccccccccc 1.2 to staging (d)"
