"""The pages: well made, honest in their links, safe against what strangers write, read as text."""

from __future__ import annotations

import re
from copy import deepcopy

import httpx
import pytest
from tests.client import canned

from web.fleet import FakeFleet, stamp
from web.house_of_pages import make_app
from web.reading import Page
from web.sample import DIFF, busy_fleet

PATHS = [
    "/",
    "/?project=payments",
    "/?q=login",
    "/?state=blocked",
    "/inbox",
    "/figures",
    "/figures?project=payments&since=all",
    "/inbox?view=decided",
    "/inbox?d=bp_2",
    "/tasks/tsk_0482",
    "/tasks/tsk_0482?tab=diff",
    "/tasks/tsk_0482?tab=checks",
    "/tasks/tsk_0513",
    "/login",
]
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{907*911}}\x1b]0;t\x07"


@pytest.mark.parametrize("path", PATHS)
async def test_every_page_is_well_made_and_has_its_guards(client, path):
    answer = await client.get(path)
    assert answer.status_code == 200
    assert Page(answer.text).faults() == []
    policy = answer.headers["content-security-policy"]
    assert policy == (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "no-cache" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_link_leads_to_a_page_that_is_there(client, path):
    page = Page((await client.get(path)).text)
    links = {e.attributes["href"] for e in page.all("a") if "download" not in e.attributes}
    for link in links - {"#main"}:
        target = httpx.URL(f"http://localhost{path}").join(link)
        answer = await client.get(str(target))
        assert answer.status_code == 200, link
    for element in page.elements:
        for name in ("src", "href"):
            url = element.attributes.get(name, "")
            if url.startswith("/static/"):
                assert (await client.get(url.partition("#")[0])).status_code == 200


async def test_the_board_shows_each_task_in_its_column(read):
    page = await read("/")
    titles = {e.attributes["id"]: e.words for e in page.all("header") if "id" in e.attributes}
    assert titles["head-queue"] == "Queue62 blocked"
    assert titles["head-working"] == "Working4limit 8"
    assert titles["head-checking"] == "Checking5"
    assert titles["head-done"] == "Done today81 failed"
    card = page.one("article", id="card-tsk_0497")
    assert "pytest tests/auth -q 41/48" in card.words
    assert "+36 \N{MINUS SIGN}12" in card.words
    assert "$0.52" in card.words
    assert "after MU-482" in page.one("article", id="card-tsk_0514").words
    assert "next up" in page.one("article", id="card-tsk_0513").words


async def test_what_holds_the_list_is_said_above_board_and_inbox(fleet, read):
    assert "hidden" in (await read("/")).one("div", id="held").attributes
    fleet.stopped = canned.stopped(EVIL, task_id="tsk_0497", task_label="MU-497")
    fleet.settings["processor"] = False
    fleet.queue_rev = fleet.stir()
    for path in ("/", "/inbox"):
        held = (await read(path)).one("div", id="held")
        assert "hidden" not in held.attributes
        assert "The list is stopped: MU-497 failed: \"'><script>" in held.words
        assert "Holds back 2 tasks" in held.words
        assert "This server starts nothing" in held.words


async def test_the_queue_stands_in_the_order_in_which_it_starts(fleet, read):
    fleet.tasks.clear()
    rows = ((5, 2), (5, None), (9, None), (9, 4), (5, 1))
    for n, (priority, position) in enumerate(rows, 1):
        fleet.add_task("It", number=n, priority=priority, list_position=position)
    found = [e.attributes["id"] for e in (await read("/")).all("article")]
    cards = [id.rpartition("_")[2] for id in found if id.startswith("card-")]
    assert [int(n) for n in cards] == [3, 4, 2, 5, 1]


async def test_what_needs_a_person_comes_first_and_in_order(read):
    page = await read("/")
    asks = [e for e in page.all("article") if "ask" in e.attributes.get("class", "").split()]
    assert [a.attributes["id"] for a in asks] == ["ask-bp_1", "ask-bp_2", "ask-bp_3", "ask-bp_4"]
    assert "Holds back 2 tasks" in asks[0].words
    assert page.one("title").words == "(4) Fleet · payments · Muster"
    assert "favicon-you" in page.one("link", id="favicon").attributes["href"]


async def test_at_most_four_questions_stand_on_the_board(fleet, read):
    for n in range(5):
        fleet.ask(fleet.add_task(f"More {n}", number=600 + n)["id"], "start", "May it start?")
    page = await read("/")
    assert len(page.all("article", class_="ask")) == 4
    assert "9 waiting" in page.one("section", id="needs").words


async def test_a_question_about_starting_keeps_its_task_in_the_queue(fleet, read):
    task = fleet.add_task("Later", number=600)
    fleet.ask(task["id"], "start", "May it start?")
    queue = (await read("/")).one("div", id="cards-queue")
    assert "Later" in queue.words


async def _html(fleet: FakeFleet, path: str) -> str:
    transport = httpx.ASGITransport(app=make_app(fleet))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return (await client.get(path)).text


async def test_a_column_shows_forty_cards_and_counts_the_rest(fleet, read):
    for n in range(60):
        fleet.add_task(f"Queued {n}", number=1000 + n)
    page = await read("/")
    cards = [e for e in page.all("article") if e.attributes["id"].startswith("card-tsk_1")]
    assert len(cards) <= 40
    assert page.one("p", id="more-queue").words == "26 more"


async def test_filters_are_in_the_address_and_only_narrow_what_is_shown(read):
    page = await read("/?q=login")
    assert len(page.all("article", class_="card")) == 1
    assert page.one("input", id="filter").attributes["value"] == "login"
    assert "with “login”" in page.one("p", id="filtered").words
    blocked = await read("/?state=blocked")
    assert len(blocked.all("article", class_="card")) == 2
    nonsense = await read("/?state=nonsense")
    assert len(nonsense.all("article", class_="card")) > 10


async def test_a_project_that_is_not_there_is_a_page_that_says_so(read):
    page = await read("/?project=nowhere", 404)
    assert "There is no project 'nowhere'." in page.text


async def test_of_two_projects_each_has_a_board_and_both_share_one(fleet, read):
    other = fleet.add_project("other")
    fleet.add_task("Somewhere else", project_id=other["id"], number=900)
    assert "All projects" in (await read("/")).one("summary", class_="proj").words
    assert "Somewhere else" in (await read("/")).text
    alone = await read("/?project=other")
    assert len(alone.all("article", class_="card")) == 1
    assert alone.one("title").words == "Fleet · other · Muster"


async def test_a_paused_fleet_says_so_on_every_card_that_waits(fleet, read):
    fleet.settings["paused"] = True
    page = await read("/")
    assert "fleet paused" in page.one("article", id="card-tsk_0513").words
    assert "Resume fleet" in page.one("button", id="pause").words


async def test_an_empty_project_asks_what_should_be_done():
    fleet = FakeFleet()
    fleet.add_project("payments")
    page = Page(await _html(fleet, "/"))
    assert page.faults() == []
    assert "What should be done?" in page.text
    assert len([b for b in page.all("button") if "data-example" in b.attributes]) == 3


async def test_without_a_project_the_page_says_how_to_add_one():
    page = Page(await _html(FakeFleet(), "/"))
    assert page.faults() == []
    assert "muster init" in page.text


async def test_a_task_page_can_be_read_without_a_script(read):
    page = await read("/tasks/tsk_0482")
    said = page.one("pre", id="lines").words
    assert "48 passed in 11.84s" in said
    assert "CREATE UNIQUE INDEX CONCURRENTLY uq_payments_idem" in said
    trail = page.one("aside", id="t-trail").words
    assert "Waits for a person" in trail
    assert "0.44" in trail
    gate = page.one("section", id="gate-bp_1").words
    assert "May it be merged into main?" in gate
    assert "48 of 48 tests pass" in gate
    assert {b.attributes.get("data-answer") for b in page.all("button")} >= {
        "merge",
        "retry",
        "close",
        "cancel",
    }
    assert "Roll back" in page.one("section", id="t-points").words
    assert "$1.84 / 3.00" in page.one("section", id="t-budget").words


async def test_a_manager_and_its_workers_lead_to_each_other_with_their_states(fleet, read):
    boss = fleet.add_task("Split it", "executing", number=700, playbook="manager", cost_usd=0.5,
                          budget_usd=4.0)  # fmt: skip
    assert "none yet" in (await read("/tasks/tsk_0700")).one("section", id="t-team").words
    own = {"parent_id": boss["id"]}
    fleet.add_task("Write one", "completed", number=701, errand="one", cost_usd=1.5, **own)
    fleet.add_task("Write two", "failed", number=702, errand="two", reason="it broke", **own)
    page = await read("/tasks/tsk_0700")
    team = page.one("section", id="t-team")
    rows = page.all("a", class_="ck")
    assert [row.attributes["href"] for row in rows] == ["/tasks/tsk_0701", "/tasks/tsk_0702"]
    assert "MU-701oneDone · $1.50" in team.words
    assert "MU-702twoFailed" in team.words
    assert "it broke" in rows[1].attributes["title"]
    assert "$2.00 / 4.00" in page.one("section", id="t-budget").words
    one = await read("/tasks/tsk_0701")
    (row,) = one.all("a", class_="ck")
    assert row.attributes["href"] == "/tasks/tsk_0700"
    assert "MU-700Split itRunning" in one.one("section", id="t-team").words
    assert "hidden" in (await read("/tasks/tsk_0482")).one("section", id="t-team").attributes


async def test_who_writes_a_planned_tasks_tests_stands_below_it_and_is_not_counted(fleet, read):
    plan = fleet.add_task("Two files", "blocked", number=700, playbook="plan")
    own = {"parent_id": plan["id"]}
    fleet.add_task(
        "Write one", "blocked", number=701, errand="one", acceptance_id="tsk_0703", **own
    )
    fleet.add_task("Write two", "completed", number=702, errand="two", cost_usd=1.5, **own)
    fleet.add_task(
        "Tests for one", "executing", number=703, playbook="acceptance", cost_usd=0.5, **own
    )
    page = await read("/tasks/tsk_0700")
    assert [row.attributes["href"] for row in page.all("a", class_="ck")] == [
        "/tasks/tsk_0701", "/tasks/tsk_0703", "/tasks/tsk_0702",
    ]  # fmt: skip
    team = page.one("section", id="t-team").words
    assert "Planned tasks 2" in team
    assert "MU-703its acceptance testsRunning · $0.50" in team
    assert "$2.00" in page.one("section", id="t-budget").words


async def test_acceptance_tests_and_the_work_they_judge_lead_to_each_other(fleet, read):
    fleet.add_task("Write it", "executing", number=700)
    fleet.add_task("Write its tests", "completed", number=701, playbook="acceptance")
    tests = {"task_id": "tsk_0701", "label": "MU-701", "status": "completed", "tests": 3,
             "visible": ["a"], "hidden": ["b"], "judges": ["MU-700"]}  # fmt: skip
    fleet.acceptance = {"tsk_0700": tests, "tsk_0701": tests}
    (told,) = (await read("/tasks/tsk_0700")).all("span", title="Acceptance tests")
    assert told.words == "MU-701 completed 3 tests, 1 file hidden"
    (told,) = (await read("/tasks/tsk_0701")).all("span", title="Acceptance tests")
    assert told.words == "tests for MU-700 3 tests, 1 file hidden"
    assert not (await read("/tasks/tsk_0482")).all("span", title="Acceptance tests")


async def test_only_the_tab_that_was_asked_for_is_open(read):
    for tab in ("terminal", "diff", "checks"):
        page = await read(f"/tasks/tsk_0482?tab={tab}")
        panels = page.all("div", role="tabpanel")
        open_ones = [p.attributes["id"] for p in panels if "hidden" not in p.attributes]
        assert open_ones == [f"panel-{tab}"]
        (chosen,) = [
            t for t in page.all("a", role="tab") if t.attributes["aria-selected"] == "true"
        ]
        assert chosen.attributes["id"] == f"tab-{tab}"
    assert (
        "hidden"
        not in (await read("/tasks/tsk_0482?tab=x")).one("div", id="panel-terminal").attributes
    )


async def test_a_name_that_is_no_valid_text_breaks_no_page(fleet, read):
    first, *_ = files = deepcopy(DIFF["files"])
    (lock,) = (each for each in files if each["path"] == "uv.lock")
    first["path"], lock["path"] = "na\udcefve.py", "na\udcefve/uv.lock"
    fleet.diffs["tsk_0482"] = DIFF | {"files": files}
    page = await read("/tasks/tsk_0482?tab=diff")
    assert "na\ufffdve.py" in page.one("div", id="t-diff").words
    (link,) = (e.attributes["href"] for e in page.all("a") if "file=" in e.attributes["href"])
    opened = await read(f"/tasks/tsk_0482{link.partition('#')[0]}")
    assert "Not opened" not in opened.one("div", id="t-diff").words


async def test_the_diff_is_shown_file_by_file_and_a_lock_file_waits(read):
    page = await read("/tasks/tsk_0482?tab=diff")
    words = page.one("div", id="t-diff").words
    assert "3 files +142 \N{MINUS SIGN}38" in words
    assert "for attempt in range(policy.max_attempts):" in words
    assert "Not opened by itself: written by a program" in words
    opened = await read("/tasks/tsk_0482?tab=diff&file=uv.lock")
    assert "Not opened by itself" not in opened.one("div", id="t-diff").words


async def test_a_conflict_shows_both_sides(read):
    words = (await read("/tasks/tsk_0507")).one("section", id="gate-bp_2").words
    assert "ROUND_HALF_EVEN" in words
    assert "ROUND_HALF_UP" in words
    assert "round(p, 2)" in words
    assert "<<<<<<< main" in words


async def test_the_checks_name_command_runs_and_broken_tests(read):
    words = (await read("/tasks/tsk_0482?tab=checks")).one("div", id="t-checks").words
    assert "pytest -q" in words
    assert "base + result’s tests" in words
    assert "tests/test_a.py::test_b" in words
    assert words.index("Attempt 2") < words.index("Attempt 1")


async def test_the_checks_tell_what_confidence_rests_on_and_what_became_of_the_work(fleet, read):
    detail = fleet.details["tsk_0482"]
    sure = {
        "value": 0.44, "for": [{"text": "The existing tests pass.", "share": 0.315}],
        "against": [{"text": "Tests were skipped.", "share": -1.0}], "abstains": "",
        "calibration": {"slope": 1.0, "shift": 0.0, "outcomes": 31, "wrong": 9},
    }  # fmt: skip
    first, second = detail["verdicts"]
    first["sure"] = sure
    second["sure"] = {**sure, "value": None, "abstains": "Nothing shows it.", "calibration": None}
    detail["outcomes"] = [{"verdict_id": second["id"], "right": False, "why": "<b>totals</b>"}]
    fleet.change("tsk_0482", attempt=3)
    words = (await read("/tasks/tsk_0482?tab=checks")).one("div", id="t-checks").words
    assert "For it: The existing tests pass. +0.32" in words
    assert "Against it: Tests were skipped. -1.00" in words
    assert words.count("By 31 outcomes of this project.") == 1
    assert "No confidence: Nothing shows it." in words
    assert "Was wrong: <b>totals</b>" in words


async def test_a_task_is_found_by_its_label_too(client):
    answer = await client.get("/tasks/MU-482?tab=diff")
    assert answer.status_code == 307
    assert answer.headers["location"] == "/tasks/tsk_0482?tab=diff"


async def test_a_run_can_be_named_and_the_newest_is_shown_otherwise(fleet, read):
    fleet.change("tsk_0482", attempt=3)
    second = fleet.add_agent("tsk_0482", "the second run\n", status="failed", exit_code=1,
                             reason="killed by signal 9", created_at=stamp(1))  # fmt: skip
    newest = await read("/tasks/tsk_0482")
    assert "the second run" in newest.one("pre", id="lines").words
    assert "Ended, exit status 1" in newest.one("div", id="t-termbar").words
    assert "killed by signal 9" in newest.one("div", id="t-termbar").words
    first = fleet.details["tsk_0482"]["agents"][0]["id"]
    assert second["id"] != first
    named = await read(f"/tasks/tsk_0482?run={first}")
    assert "48 passed" in named.one("pre", id="lines").words


async def test_a_task_without_a_run_says_what_it_waits_for(read):
    page = await read("/tasks/tsk_0514")
    assert "It starts after MU-482" in page.one("div", id="term").words
    assert page.one("body").attributes["data-shape"] == "task without a run"


@pytest.mark.parametrize(
    ("status", "words"), [("executing", "Stop"), ("failed", "Try again"), ("proposed", "Start")]
)
async def test_a_task_offers_what_can_be_done_with_it_now(fleet, read, status, words):
    task = fleet.add_task("One", status, number=700)
    assert words in (await read(f"/tasks/{task['id']}")).one("div", id="t-acts").words


async def test_a_task_that_is_done_offers_nothing_to_stop(fleet, read):
    task = fleet.add_task("One", "completed", number=700)
    acts = (await read(f"/tasks/{task['id']}")).one("div", id="t-acts").words
    assert acts == ""


async def test_a_task_that_is_not_there_is_a_page_that_says_so(client):
    answer = await client.get("/tasks/tsk_nowhere")
    assert answer.status_code == 404
    assert "There is no task" in Page(answer.text).text
    assert answer.headers["content-security-policy"]


async def test_the_inbox_groups_by_what_is_held_back_and_shows_the_first(read):
    page = await read("/inbox")
    words = page.one("nav", id="in-list").words
    assert words.index("Holding back other work") < words.index("When you have a moment")
    detail = page.one("section", id="in-detail").words
    assert "Add retry with idempotency" in detail
    assert "48 of 48 tests pass" in detail


async def test_an_answered_question_stands_under_decided_with_who_answered(fleet, read):
    await fleet.resolve_breakpoint("bp_4", "merge", "well done")
    page = await read("/inbox?view=decided")
    assert "merge by you" in page.one("nav", id="in-list").words
    assert "“well done”" in page.one("section", id="in-detail").words
    assert not [b for b in page.all("button") if b.attributes.get("data-act") == "resolve"]


async def test_an_empty_inbox_says_that_nothing_waits():
    fleet = FakeFleet()
    fleet.add_agent(fleet.add_task("One", "executing")["id"])
    page = Page(await _html(fleet, "/inbox"))
    assert "Nothing waits for you" in page.text
    assert "1 task at work" in page.text


# --- strangers' words -----------------------------------------------------------------------------


def evil_fleet() -> FakeFleet:
    """Every text of every shape is an attack."""
    fleet = FakeFleet()
    fleet.add_project(EVIL, agent=EVIL)
    fleet.projects["prj_1"]["branch"] = EVIL
    running = fleet.add_task(EVIL, "executing", description=EVIL + "\nmore", agent=EVIL,
                             reason=EVIL, model=EVIL, branch=EVIL, type="feature")  # fmt: skip
    fleet.add_agent(running["id"], EVIL + "\n", last_line=EVIL, runtime=EVIL, reason=EVIL)
    asked = fleet.add_task(EVIL, "monitoring", reason=EVIL, result_commit=EVIL, base_commit=EVIL,
                           merged_commit=EVIL, playbook=EVIL, runtime=EVIL)  # fmt: skip
    fleet.add_agent(asked["id"], EVIL, status="failed", reason=EVIL, exit_code=1)
    fleet.judge(
        asked["id"],
        [
            {
                "code": EVIL,
                "severity": severity,
                "text": EVIL,
                "evidence": {
                    "command": EVIL,
                    "runs": [{"name": EVIL, "exit_code": 1, "why": EVIL, "seconds": 1.0,
                              "passed": 1, "failed": 2, "tail": EVIL}],
                    "broken": [EVIL],
                    "missing": [EVIL],
                    EVIL: EVIL,
                },
            }
            for severity in ("ok", "note", "ask", "abstain", "veto")
        ],
        decision={"step": EVIL, "reasons": [EVIL], "question": EVIL, "kind": EVIL, "options": []},
    )  # fmt: skip
    fleet.ask(asked["id"], "conflict", EVIL, options=["merge", EVIL], evidence={
        EVIL: EVIL, "long": EVIL * 5, "list": [EVIL],
        "paths": [{"path": EVIL, "ours": EVIL, "theirs": EVIL, "base": EVIL, "conflict": EVIL}],
    })  # fmt: skip
    fleet.tell(asked["id"], EVIL, EVIL, "note")
    fleet.details[asked["id"]]["checkpoints"].append(
        {"task_id": asked["id"], "n": 1, "attempt": 1, "label": EVIL, "commit": EVIL,
         "created_at": stamp(1)}
    )  # fmt: skip
    patch = f"@@ -1 +1 @@ {EVIL}\n-{EVIL}\n+{EVIL}x\n"
    fleet.diffs[asked["id"]] = {
        "base": EVIL,
        "head": EVIL,
        "added": 1,
        "removed": 1,
        "files": [
            {"path": EVIL, "old_path": EVIL, "status": "renamed", "added": 1, "removed": 1,
             "binary": False, "truncated": True, "patch": patch}
        ],
    }  # fmt: skip
    fleet.add_task(EVIL, "blocked", needs=[running["id"]], parent_id=running["id"], errand=EVIL,
                   reason=EVIL)  # fmt: skip
    fleet.add_task(EVIL, "completed")
    fleet.add_task(EVIL, "failed", reason=EVIL)
    return fleet


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/?{httpx.QueryParams({'q': EVIL})}",
        "/inbox",
        "/tasks/tsk_0001",
        "/tasks/tsk_0002",
        "/tasks/tsk_0002?tab=checks",
        "/tasks/tsk_0003",
    ],
)
async def test_no_text_from_outside_becomes_markup(path):
    html = await _html(evil_fleet(), path)
    page = Page(html)
    assert page.faults() == []
    assert page.all("img") == []
    assert [s for s in page.all("script") if "src" not in s.attributes] == []
    assert "\x1b" not in html
    assert str(907 * 911) not in page.text


async def test_an_error_page_does_not_repeat_markup_either():
    html = await _html(FakeFleet(), f"/?{httpx.QueryParams({'project': EVIL})}")
    assert Page(html).faults() == []
    assert Page(html).all("img") == []


# --- signing in -----------------------------------------------------------------------------------


async def test_the_right_token_gives_a_cookie_that_no_script_and_no_other_site_can_use(client):
    answer = await client.post("/login", json={"token": "the-right-token"})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("muster_session=signed-in")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "Path=/" in cookie
    assert "Secure" not in cookie


async def test_over_https_the_cookie_stays_there(fleet):
    transport = httpx.ASGITransport(app=make_app(fleet))
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
        answer = await client.post("/login", json={"token": "the-right-token"})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("body", [b'{"token": "wrong"}', b'{"token": 7}', b"[]", b"x", b"{}"])
async def test_any_other_token_is_refused_with_what_to_do(client, body):
    answer = await client.post("/login", content=body)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["hint"] == "run: muster open"
    assert "set-cookie" not in answer.headers


async def test_a_page_carries_the_mark_that_acting_needs(read):
    page = await read("/")
    assert page.one("meta", name="csrf").attributes["content"] == "csrf-of-signed-in"


async def test_the_theme_that_was_chosen_is_there_from_the_first_byte(client):
    client.cookies.set("muster_theme", "light")
    assert Page((await client.get("/")).text).one("html").attributes["data-theme"] == "light"
    client.cookies.set("muster_theme", '"><script>')
    assert "data-theme" not in Page((await client.get("/")).text).one("html").attributes


async def test_files_are_kept_for_ever_under_a_name_with_their_hash(client):
    page = Page((await client.get("/")).text)
    (sheet,) = [e for e in page.all("link") if e.attributes["rel"] == "stylesheet"]
    url = sheet.attributes["href"]
    assert re.fullmatch(r"/static/app\.[0-9a-f]{10}\.css", url)
    packed = await client.get(url, headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "immutable" in packed.headers["cache-control"]
    plain = await client.get(url, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == packed.text
    assert re.search(r'url\("/static/vendor/inter-[\w-]+\.[0-9a-f]{10}\.woff2"\)', plain.text)
    assert (await client.get("/static/../app.py")).status_code == 404
    assert (await client.get("/static/app.css")).status_code == 404
    assert (await client.get("/favicon.ico", follow_redirects=True)).status_code == 200


async def test_a_page_of_five_hundred_tasks_is_not_too_heavy(fleet, client):
    fleet = busy_fleet()
    for n in range(500):
        fleet.add_task(f"One of very many tasks that wait for a slot, number {n}", number=2000 + n)
    html = await _html(fleet, "/")
    assert len(html) < 130_000


async def test_a_card_says_why_it_asks_and_not_what_the_verdict_repeats(fleet, read):
    task = fleet.add_task("One", "monitoring", number=700)
    reasons = ["1 test fails without the change.", "All others pass."]
    fleet.ask(
        task["id"],
        "merge",
        "Merge MU-700?",
        holds_back=9,
        evidence={"verdict": "vdt_1", "reasons": reasons, "findings": [{"code": "x"}]},
    )
    words = (await read("/")).one("article", id="ask-bp_5").words
    assert "1 test fails without the change. All others pass." in words
    gate = (await read(f"/tasks/{task['id']}")).one("section", id="gate-bp_5").words
    assert "vdt_1" not in gate
    assert "Merge MU-700?" in gate


async def test_runs_that_several_findings_stand_on_are_shown_once(fleet, read):
    runs = [{"name": "only run", "exit_code": 0, "why": "exit", "seconds": 1.0}]
    task = fleet.add_task("One", "completed", number=700)
    fleet.judge(
        task["id"],
        [
            {"code": c, "severity": "ok", "text": c, "evidence": {"command": "t", "runs": runs}}
            for c in ("first", "second")
        ],
    )
    words = (await read(f"/tasks/{task['id']}?tab=checks")).one("div", id="t-checks").words
    assert words.count("only run") == 1
    assert "exit" not in words.replace("Exit", "")


async def test_the_trail_shortens_commits_and_tells_a_decision_in_one_line(fleet, read):
    fleet.tell("tsk_0482", "merge.landed", f"Merged into main at {'ab12' * 10}", "ok")
    fleet.tell("tsk_0482", "decision.made", "Decision: ask. The same words again", "note")
    words = (await read("/tasks/tsk_0482")).one("aside", id="t-trail").words
    assert "ab12ab12ab" in words
    assert "ab12ab12ab1" not in words
    assert "The same words again" not in words


async def test_structured_output_is_told_in_words_and_an_open_object_is_asked_for_again(
    fleet, read
):
    said = '{"type":"assistant","message":{"content":[{"type":"text","text":"Hello <b>"}]}}\n'
    task = fleet.add_task("One", "executing", number=700)
    fleet.add_agent(task["id"], said + '{"type":"resu')
    page = await read(f"/tasks/{task['id']}")
    assert page.one("pre", id="lines").words == "● Hello <b>"
    term = page.one("div", id="term").attributes
    assert (term["data-next"], term["data-open"]) == (str(len(said)), "false")
