"""The section of a task's page that tells of its playbook, and what a card says of it."""

from __future__ import annotations

import pytest
from tests.client import canned

from muster.web.crew import web_address

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{907*911}}\x1b]0;t\x07"


def _crewed(fleet, text, **changes):
    fleet.add_task("Add an export", "executing", number=800, playbook="crew", step="reviewer")
    fleet.crews["tsk_0800"] = {**canned.detail(text)["crew"], **changes}


async def test_a_task_shows_its_steps_its_pull_request_and_what_each_role_said(fleet, read):
    pull = {"number": 7, "state": "open", "url": "https://forge.example/team/app/pull/7"}
    _crewed(fleet, "Odd", pull=pull)
    page = await read("/tasks/tsk_0800")
    words = page.one("section", id="t-crew").words
    steps = page.one("ol", class_="way")
    assert steps.words == "coding review Odd"
    assert page.one("li", class_="now").words == "review"
    assert page.one("a", href=pull["url"]).words == "#7"
    for said in (
        "Playbook crew", "Pull request: #7 open", "Changes were asked for once",
        "Deployed: Odd Odd to Odd", "Odd asks for changes: Odd", "Odd:3 must Odd",
        "MU-8Oddits cause · failed", "MU-9Oddcame of it · proposed",
    ):  # fmt: skip
        assert said in words
    links = {a.attributes["href"] for a in page.all("a", class_="ck")}
    assert {"/tasks/tsk_8", "/tasks/tsk_9"} <= links


async def test_a_task_without_a_playbook_has_no_such_section(fleet, read):
    fleet.add_task("Alone", "executing", number=800)
    assert "hidden" in (await read("/tasks/tsk_0800")).one("section", id="t-crew").attributes


async def test_before_anything_was_done_the_section_is_its_steps(fleet, read):
    nothing = dict.fromkeys(("pull", "analysis", "deployment", "cause"))
    way = [{"step": "starter", "state": "ahead"}]
    _crewed(fleet, "x", **nothing, rounds=0, reviews=[], events=[], caused=[], way=way)
    page = await read("/tasks/tsk_0800")
    assert page.one("section", id="t-crew").words == "Playbook crew analysis"


async def test_what_roles_and_forges_write_is_text(fleet, read):
    _crewed(fleet, EVIL)
    fleet.change("tsk_0800", step=EVIL)
    for path in ("/tasks/tsk_0800", "/"):
        page = await read(path)
        assert not [e for e in page.all("img") if "onerror" in e.attributes]
        assert not [e for e in page.all("script") if "alert" in e.words]
        assert not any("\x1b" in e.words for e in page.elements)
    assert not [a for a in page.all("a") if "script" in a.attributes.get("href", "")]


@pytest.mark.parametrize(
    ("given", "linked"),
    [
        ("https://forge.example/1", True),
        ("http://127.0.0.1:8080/x", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("javascript://forge.example/%0aalert(1)", False),
        ("ftp://forge.example/1", False),
        ("data:text/html,x", False),
        ("//forge.example/1", False),
        ("https:///1", False),
        ("https://[x", False),
        ("https://a b", False),
        ("https://a\n", False),
        ("", False),
        (None, False),
    ],
)
def test_only_addresses_of_the_web_are_linked(given, linked):
    assert web_address(given) == (given if linked else "")


async def test_a_card_says_its_step_and_that_an_event_is_awaited(fleet, read):
    fleet.add_task("Add it", "monitoring", number=801, step="deployer", stage="handed_on")
    fleet.add_task("Alone", "monitoring", number=802)
    page = await read("/")
    assert "deployment" in page.one("article", id="card-tsk_0801").words
    assert "waits for what comes next" in page.one("article", id="card-tsk_0801").words
    assert "judging the evidence" in page.one("article", id="card-tsk_0802").words
