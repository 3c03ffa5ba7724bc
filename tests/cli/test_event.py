"""`muster event`: the tree of an event, marks, and where a payload comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.client import canned
from tests.client.loopback import Answer, Loopback


def test_an_event_stands_between_what_led_to_it_and_what_it_led_to(run: Run) -> None:
    lines = run("event", "show", "4").out.splitlines()
    places = [(line.index(line.lstrip(" └─")), line.lstrip(" └─").split()[0]) for line in lines[:5]]
    assert places == [(0, "2"), (3, "3"), (6, "4"), (9, "5"), (9, "6")]
    assert json.loads(run("event", "show", "4", "--json").out) == canned.event_story(4)


def test_a_chain_that_is_too_long_says_where_it_goes_on(run: Run, server: Loopback) -> None:
    chain = [canned.event(n, cause=n - 1) for n in range(7, 107)]
    story = {**canned.event(107, cause=106), "chain": chain, "led_to": []}
    server.routes["GET", "/api/events/107"] = Answer(body=story)
    lines = run("event", "show", "107").out.splitlines()
    assert lines[0] == "… (event 6 and what led to it)"
    assert max(len(line) for line in lines) < 100


def test_an_event_that_is_marked_already_stays_so(run: Run, server: Loopback) -> None:
    assert run("event", "done", "4").out == "event 4 is marked as dealt with\n"
    marked = {**canned.event_story(4), "processed_at": canned.LATER}
    server.routes["GET", "/api/events/4"] = Answer(body=marked)
    asked = len(server.asked)
    assert run("event", "done", "4").out.startswith("event 4 was marked already")
    shown = json.loads(run("event", "done", "4", "--json").out)
    assert shown == canned.event(4, cause=3, processed_at=canned.LATER)
    assert [each.method for each in server.asked[asked:]] == ["GET", "GET"]


@pytest.mark.parametrize(
    ("more", "path"),
    [([], "/api/events"), (["--pending"], "/api/events/pending"),
     (["--processed"], "/api/events/processed")],
)  # fmt: skip
def test_marked_and_unmarked_events_are_told_apart(
    more: list[str], path: str, run: Run, server: Loopback
) -> None:
    assert run("event", "list", *more, "--type", "a.b", "--task", "MU-1").code == 0
    asked = server.asked[-1]
    assert (asked.path, asked.query["type"], asked.query["task"]) == (path, "a.b", "MU-1")


def test_the_next_page_is_one_of_the_same_events(run: Run, server: Loopback) -> None:
    server.routes["GET", "/api/events/pending"] = Answer(body=canned.page(canned.event(), next=9))
    same = ["--limit", "7", "--type", "a.b", "--task", "MU-1", "--pending"]
    said = run("event", "list", *same).err
    assert f"muster event list --after 9 {' '.join(same)}" in said


def test_a_payload_comes_from_the_line_or_from_a_file(
    run: Run, server: Loopback, tmp_path: Path
) -> None:
    (tmp_path / "said.json").write_text('{"from": "file"}')
    for given, said in (('{"from": "line"}', "line"), (f"@{tmp_path}/said.json", "file")):
        assert run("event", "emit", "a.b", "--payload", given).code == 0
        assert server.asked[-1].body["payload"] == {"from": said}
    assert run("event", "emit", "a.b", "--payload", f"@{tmp_path}/none").code == 2
