"""The pages in a real browser: live, by key, on a phone, and after a lost connection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from house.parts import chromium as program
from house.patience import PATIENCE
from house.ports import free_port
from web.fleet import FakeFleet
from web.house_of_pages import Served, served
from web.sample import busy_fleet

pytestmark = pytest.mark.needs_chromium

expect.set_options(timeout=1000 * PATIENCE)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page costs a quarter less of the processor than with processes of their own for these.
    "--in-process-gpu",
    "--renderer-process-limit=1",
]
PAGES = [
    "/",
    "/inbox",
    "/figures",
    "/tasks/tsk_0482",
    "/tasks/tsk_0482?tab=diff",
    "/tasks/tsk_0482?tab=checks",
]
USUAL: Any = {"width": 1440, "height": 900}
AXE = Path(__file__).resolve().parents[2] / "build/axe.min.js"
CASES = json.loads((Path(__file__).parent / "terminal_cases.json").read_text())
TOLD = json.loads((Path(__file__).parent / "transcript_cases.json").read_text())


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the whole file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def port() -> int:
    """Where every server of this file is found, so that the browser knows its scripts already."""
    return free_port()


@pytest.fixture
def server(port: int) -> Iterator[Served]:
    with served(busy_fleet(), port) as found:
        yield found


@contextmanager
def tab(chromium: Browser, **more: Any) -> Iterator[Page]:
    """A signed-in tab that collects what the browser complains about.

    Nothing moves in it: a browser without a graphics card draws each frame by the processor.
    """
    usual = {"viewport": USUAL, "reduced_motion": "reduce"}
    context = chromium.new_context(**{**usual, **more})
    # A cookie is its host's, whatever the port of the server.
    context.add_cookies(
        [{"name": "muster_session", "value": "signed-in", "url": "http://127.0.0.1"}]
    )
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    page.complaints = []  # type: ignore[attr-defined]
    page.on("console", lambda m: m.type == "error" and page.complaints.append(m.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    try:
        yield page
    finally:
        context.close()


@pytest.fixture(scope="module")
def usual_tab(chromium: Browser) -> Iterator[Page]:
    """One tab for all tests that want nothing special of theirs; making one takes long."""
    with tab(chromium) as found:
        yield found


@pytest.fixture
def page(usual_tab: Page, server: Served) -> Iterator[Page]:
    """The usual tab, with nothing left of the test before."""
    usual_tab.complaints.clear()  # type: ignore[attr-defined]
    usual_tab.set_viewport_size(USUAL)
    yield usual_tab
    complaints = list(usual_tab.complaints)  # type: ignore[attr-defined]
    usual_tab.unroute_all()
    usual_tab.evaluate("localStorage.clear()")
    usual_tab.goto("about:blank")
    assert complaints == []


@pytest.fixture
def moving(chromium: Browser, server: Served) -> Iterator[Page]:
    """A tab of its own in which what changes is seen to move."""
    with tab(chromium, reduced_motion="no-preference") as found:
        yield found
        assert found.complaints == []


def opened(page: Page, server: Served, path: str = "/") -> None:
    page.goto(f"{server.url}{path}")
    expect(page.locator("#live")).to_have_class(re.compile("up"))


def test_a_change_is_painted_without_loading_the_page_again(moving, server):
    page = moving
    opened(page, server)
    page.evaluate("window.mine = 1")
    server.do(lambda: server.fleet.change("tsk_0513", status="executing"))
    expect(page.locator("#cards-working #card-tsk_0513")).to_be_visible()
    expect(page.locator("#cards-queue #card-tsk_0513")).to_have_count(0)
    server.do(lambda: server.fleet.add_task("Born just now", number=900))
    expect(page.locator("#cards-queue")).to_contain_text("Born just now")
    assert page.evaluate("window.mine") == 1


def test_a_decision_is_made_on_the_board_and_every_badge_follows(page, server):
    opened(page, server)
    expect(page).to_have_title("(4) Fleet · payments · Muster")
    page.locator("#ask-bp_1 button", has_text="Merge").click()
    expect(page.locator("#ask-bp_1")).to_have_count(0)
    expect(page).to_have_title("(3) Fleet · payments · Muster")
    expect(page.locator("#count-rail")).to_have_text("3 waiting")
    expect(page.locator("#said")).to_have_text("3 decisions wait")
    assert ("resolve", "bp_1", "merge", "") in server.fleet.calls
    for ask in ("bp_2", "bp_3", "bp_4"):
        server.do(lambda ask=ask: server.fleet.ask_done(ask))
    expect(page).to_have_title("Fleet · payments · Muster")
    assert "favicon-you" not in page.locator("#favicon").get_attribute("href")
    expect(page.locator("#needs")).to_be_hidden()


def test_two_keys_decide(page, server):
    opened(page, server)
    page.keyboard.press("j")
    expect(page.locator("#ask-bp_1")).to_be_focused()
    page.keyboard.press("a")
    expect(page.locator("#ask-bp_1")).to_have_count(0)


def test_a_key_that_ends_work_only_asks(page, server):
    opened(page, server, "/tasks/tsk_0482")
    page.keyboard.press("d")
    close = page.locator('[data-answer="close"]')
    expect(close).to_have_text(re.compile("Close: sure"))
    page.keyboard.press("d")
    expect(close).to_be_focused()
    assert not [c for c in server.fleet.calls if c[0] == "resolve"]
    page.keyboard.press("Enter")
    expect(page.locator("#gate-bp_1")).to_have_count(0)
    assert ("resolve", "bp_1", "close", "") in server.fleet.calls


def test_an_agent_at_work_is_told_something_from_its_page(page, server):
    fleet = server.fleet
    task = fleet.add_task("Listens", number=901, status="executing", agent="claude")
    agent = fleet.add_agent(task["id"], "working\n", hears=True)
    opened(page, server, f"/tasks/{task['id']}")
    field = page.get_by_label("Tell the agent")
    field.fill("mind the <b>tests</b>\nand be brief")
    server.do(lambda: fleet.change(task["id"], title="Listens still"))
    expect(page.locator("h1")).to_have_text("Listens still")
    field.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("hears it in this turn or the next")
    expect(field).to_have_value("")
    told = ("tell", agent["id"], "mind the <b>tests</b>\nand be brief")
    assert [call for call in fleet.calls if call[0] == "tell"] == [told]
    page.get_by_role("button", name="Send").click()
    assert [call for call in fleet.calls if call[0] == "tell"] == [told]
    server.do(lambda: fleet.end_agent(agent["id"]))
    expect(field).to_have_count(0)


def test_a_word_that_was_not_taken_stays_in_the_field(chromium, server):
    fleet = server.fleet
    task = fleet.add_task("Ends", number=902, status="executing", agent="claude")
    agent = fleet.add_agent(task["id"], "working\n", hears=True)
    with tab(chromium) as page:
        opened(page, server, f"/tasks/{task['id']}")
        agent["status"] = "completed"  # the page has not heard of it yet
        page.get_by_label("Tell the agent").fill("too late")
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".toast.bad")).to_contain_text("has ended")
        expect(page.get_by_label("Tell the agent")).to_have_value("too late")


def test_an_agent_that_cannot_hear_has_no_field_for_a_word(page, server):
    fleet = server.fleet
    task = fleet.add_task("Deaf", number=903, status="executing", agent="aider")
    fleet.add_agent(task["id"], "working\n")
    opened(page, server, f"/tasks/{task['id']}")
    expect(page.locator("#t-say")).to_be_hidden()


def test_a_note_that_is_half_written_survives_updates_and_goes_with_the_answer(page, server):
    opened(page, server, "/tasks/tsk_0482")
    note = page.locator("#note-bp_1")
    note.fill("Keep the old")
    server.do(lambda: server.fleet.tell("tsk_0482", "x", "Something: happened", "note"))
    expect(page.locator("#t-trail")).to_contain_text("happened")
    expect(note).to_have_value("Keep the old")
    expect(note).to_be_focused()
    note.press_sequentially(" key")
    page.locator('#gate-bp_1 [data-answer="retry"]').click()
    expect(page.locator("#gate-bp_1")).to_have_count(0)
    assert ("resolve", "bp_1", "retry", "Keep the old key") in server.fleet.calls


def _request(server: Served) -> str:
    """An agent at work that asks for leave."""
    ask = server.do(
        lambda: server.fleet.ask(
            "tsk_0513",
            "permission",
            "May claude do this: Bash rm -r build",
            evidence={
                "agent": "coding-1",
                "request": "r-1",
                "tool": "Bash",
                "input": {"command": "rm -r build", "timeout": 5},
            },
        )
    )
    server.do(lambda: server.fleet.change("tsk_0513", status="executing"))
    return ask["id"]


def test_a_request_for_permission_is_allowed_with_other_inputs(page, server):
    ask = _request(server)
    opened(page, server, f"/inbox?d={ask}")
    inputs = page.locator(f"#inputs-{ask}")
    assert json.loads(inputs.input_value()) == {"command": "rm -r build", "timeout": 5}
    changed = '{"command": "rm -r build/cache"}'
    inputs.fill(changed)
    page.locator(f"#note-{ask}").fill("not this")
    page.locator('[data-answer="edit"]').click()
    expect(page.locator('[data-answer="edit"]')).to_have_count(0)
    assert ("resolve", ask, "edit", changed) in server.fleet.calls


def test_a_request_for_permission_is_denied_on_its_tasks_page_with_a_word(page, server):
    ask = _request(server)
    opened(page, server, "/tasks/tsk_0513")
    expect(page.locator(f"#gate-{ask}")).to_contain_text("rm -r build")
    page.locator(f"#note-{ask}").fill("Keep the build.")
    page.locator(f'#gate-{ask} [data-answer="deny"]').click()
    expect(page.locator(f"#gate-{ask}")).to_have_count(0)
    assert ("resolve", ask, "deny", "Keep the build.") in server.fleet.calls


def test_a_decision_that_was_made_elsewhere_is_told_kindly(page, server):
    opened(page, server)
    page.route("**/api/breakpoints/**", lambda route: _answered_first(route, server))
    page.locator("#ask-bp_1 button", has_text="Merge").click()
    expect(page.locator(".toast.bad")).to_contain_text("Decided already.")
    # The browser itself reports the 409.
    page.complaints[:] = [c for c in page.complaints if "409" not in c]


def _answered_first(route: Any, server: Served) -> None:
    server.do(lambda: server.fleet.ask_done("bp_1"))
    route.continue_()


def test_a_new_task_is_created_with_the_keyboard_alone_and_only_once(page, server):
    opened(page, server)
    page.keyboard.press("c")
    expect(page.locator("#new")).to_be_visible()
    page.keyboard.type("Write the thing\nso that it works")
    page.locator("#new input[name=after]").fill("MU-513, MU-514")
    page.locator("#new textarea").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#new")).to_be_hidden()
    expect(page.locator(".toast")).to_contain_text("was created")
    expect(page.locator("#cards-queue")).to_contain_text("Write the thing")
    ((_, body, key),) = [c for c in server.fleet.calls if c[0] == "create"]
    assert body == {
        "project": "prj_1",
        "description": "Write the thing\nso that it works",
        "type": "feature",
        "after": ["MU-513", "MU-514"],
    }
    assert re.fullmatch(r"[0-9a-f]{32}", key)


def test_keys_never_act_while_somebody_writes_and_can_be_turned_off(page, server):
    opened(page, server)
    page.keyboard.press("/")
    page.keyboard.type("c")
    expect(page.locator("#new")).to_be_hidden()
    expect(page.locator("#filter")).to_have_value("c")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.locator("#single-keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator("#new")).to_be_hidden()


def test_the_filter_narrows_the_board_as_it_is_typed_and_is_in_the_address(page, server):
    opened(page, server)
    page.locator("#filter").fill("login")
    expect(page.locator("#cards-working .card")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=login$"))
    page.reload()
    expect(page.locator("#cards-working .card")).to_have_count(1)
    page.locator("#filter").fill("")
    expect(page.locator("#cards-working .card")).to_have_count(4)


def test_keys_go_from_page_to_page(page, server):
    opened(page, server)
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page).to_have_url(re.compile("/inbox$"))
    expect(page.locator("#live")).to_have_class(re.compile("up"))
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("/$"))
    expect(page.locator("#live")).to_have_class(re.compile("up"))
    page.locator("#card-tsk_0497").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/tasks/tsk_0497$"))


def test_the_fleet_is_paused_and_its_autonomy_set(page, server):
    opened(page, server)
    page.locator("#pause").click()
    expect(page.locator("#pause")).to_have_text("Resume fleet")
    expect(page.locator("#card-tsk_0513")).to_contain_text("fleet paused")
    page.locator("#autonomy button", has_text="Full").click()
    expect(page.locator("#autonomy [aria-pressed=true]")).to_have_text("Full")
    assert ("project", "prj_1", {"settings": {"autonomy": "full"}}) in server.fleet.calls


def test_stopping_a_task_takes_two_presses(page, server):
    opened(page, server, "/tasks/tsk_0497")
    stop = page.locator('[data-do="cancel"]')
    stop.click()
    expect(stop).to_have_text("Stop for good?")
    assert not [c for c in server.fleet.calls if c[0] == "cancel"]
    stop.click()
    expect(page.locator("#t-head")).to_contain_text("Cancelled")
    assert ("cancel", "tsk_0497") in server.fleet.calls


def test_rolling_back_takes_two_presses(page, server):
    opened(page, server, "/tasks/tsk_0482")
    back = page.get_by_label("Roll back to checkpoint 1")
    back.click()
    back.click()
    expect(page.locator(".toast")).to_contain_text("back at checkpoint 1")
    assert ("restore", "tsk_0482", 1) in server.fleet.calls


# --- output ---------------------------------------------------------------------------------------


def test_output_comes_live_goes_on_with_an_open_line_and_is_followed(page, server):
    agent = server.fleet.tasks["tsk_0497"]["live_agent"]["id"]
    server.do(lambda: server.fleet.write(agent, "half a "))
    opened(page, server, "/tasks/tsk_0497")
    expect(page.locator("#lines")).to_contain_text("half a")
    server.do(lambda: server.fleet.write(agent, "line\n\x1b[31mred <b>not bold</b>\x1b[0m\n"))
    expect(page.locator("#lines div", has_text=re.compile("^half a line$"))).to_have_count(1)
    expect(page.locator("#lines .f1").last).to_have_text("red <b>not bold</b>")
    expect(page.locator("#lines b")).to_have_count(0)
    server.do(lambda: server.fleet.write(agent, "more\n" * 300))
    expect(page.locator("#lines div", has_text=re.compile("^more$"))).to_have_count(300)
    below = "(e => e.scrollHeight - e.scrollTop - e.clientHeight)"
    assert page.locator("#term").evaluate(below) < 4
    page.locator("#term").evaluate("e => { e.scrollTop = 0 }")
    expect(page.locator("#follow")).to_have_attribute("aria-pressed", "false")
    server.do(lambda: server.fleet.write(agent, "unseen\n"))
    expect(page.locator("#lines div:not(.block)", has_text="unseen")).to_have_count(1)
    assert page.locator("#term").evaluate("e => e.scrollTop") == 0
    server.do(lambda: server.fleet.end_agent(agent, 2))
    expect(page.locator("#lines")).to_contain_text("Ended with exit status 2")
    expect(page.locator("#t-termbar")).to_contain_text("Ended, exit status 2")


def test_a_new_attempt_takes_over_the_view(page, server):
    opened(page, server, "/tasks/tsk_0482")
    server.do(lambda: server.fleet.change("tsk_0482", status="executing", attempt=3))
    server.do(lambda: server.fleet.add_agent("tsk_0482", "a fresh start\n", attempt=3))
    expect(page.locator("#lines")).to_contain_text("a fresh start")
    expect(page.locator("#lines")).not_to_contain_text("48 passed")


def test_earlier_output_is_put_on_top_without_a_gap(page, server):
    agent = server.fleet.tasks["tsk_0501"]["live_agent"]["id"]
    said = "".join(f"row {n:05d}\n" for n in range(9000))
    server.do(lambda: server.fleet.output.update({agent: said.encode()}))
    opened(page, server, "/tasks/tsk_0501")
    expect(page.locator("#lines")).to_contain_text("row 08999")
    page.locator("#earlier").click()
    expect(page.locator("#lines")).to_contain_text("row 00000")
    rows = page.locator("#lines").evaluate(
        "e => [...e.querySelectorAll('div:not(.block)')].map(d => d.textContent)"
    )
    assert rows == said.splitlines()
    expect(page.locator("#earlier")).to_be_hidden()


def test_the_browser_draws_output_as_the_shared_cases_say(page, server):
    opened(page, server, "/tasks/tsk_0497")
    url = page.evaluate(
        "() => performance.getEntriesByType('resource').map(e => e.name)"
        ".find(n => n.includes('/terminal.'))"
    )
    draw = """async ([url, text]) => {
        const { Screen, classes } = await import(url);
        const said = (parts) => parts.map(([style, text]) => [classes(style), text]);
        const screen = new Screen();
        const lines = screen.feed(text).map(said);
        const letters = new Screen();
        const slow = [...text].flatMap((c) => letters.feed(c)).map((parts) => said(parts));
        return [lines, said(screen.parts), slow];
    }"""
    for case in CASES:
        lines, rest, slow = page.evaluate(draw, [url, case["in"]])
        assert lines == case["lines"], case["say"]
        assert rest == case["rest"], case["say"]
        assert _joined(slow) == _joined(lines), f"letter by letter: {case['say']}"


def test_the_browser_tells_structured_lines_as_the_shared_cases_say(page, server):
    opened(page, server, "/tasks/tsk_0497")
    url = page.evaluate(
        "() => performance.getEntriesByType('resource').map(e => e.name)"
        ".find(n => n.includes('/transcript.'))"
    )
    tell = """async ([url, text]) => {
        const { Transcript } = await import(url);
        const whole = new Transcript();
        const letters = new Transcript();
        const slow = [...text].map((c) => letters.feed(c)).join("");
        return [whole.feed(text), whole.held, slow];
    }"""
    for case in TOLD:
        assert page.evaluate(tell, [url, case["in"]]) == [case["out"], case["held"], case["out"]]


def _joined(lines: Any) -> Any:
    """Neighbours of the same style as one piece: where text was cut is not seen."""
    found = []
    for parts in lines:
        line: list[list[str]] = []
        for style, text in parts:
            if line and line[-1][0] == style:
                line[-1][1] += text
            else:
                line.append([style, text])
        found.append(line)
    return found


def test_tabs_keep_the_page_and_say_where_they_are_in_the_address(page, server):
    opened(page, server, "/tasks/tsk_0482")
    page.locator("#tab-diff").click()
    expect(page.locator("#panel-diff")).to_be_visible()
    expect(page.locator("#panel-terminal")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?tab=diff$"))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#panel-checks")).to_be_visible()
    page.keyboard.press("t")
    expect(page.locator("#panel-terminal")).to_be_visible()


# --- a lost connection ----------------------------------------------------------------------------


def test_a_lost_server_is_said_acting_is_held_and_what_was_missed_comes_after(chromium, server):
    with tab(chromium) as page:
        opened(page, server)
        fleet, port = server.fleet, server.port
        server.stop()
        expect(page.locator("#stale")).to_be_visible()
        expect(page.locator("#stale")).to_contain_text("Reconnecting, as of")
        expect(page.locator("body")).to_have_class(re.compile("away"))
        page.locator("#ask-bp_1 button", has_text="Merge").dispatch_event("click")
        fleet.change("tsk_0513", status="executing")
        with served(fleet, port):
            expect(page.locator("#cards-working #card-tsk_0513")).to_be_visible()
            expect(page.locator("#stale")).to_be_hidden()
            expect(page.locator("#card-tsk_0513")).to_have_count(1)
        assert not [c for c in fleet.calls if c[0] == "resolve"]


def test_a_session_that_has_ended_leads_to_signing_in(chromium, server):
    with tab(chromium) as page:
        opened(page, server)
        page.route(
            "**/inbox", lambda route: route.fulfill(status=303, headers={"location": "/login"})
        )
        page.route_web_socket("**/ws", lambda ws: ws.close(code=4401))
        page.reload()
        page.wait_for_url(re.compile("/login"))


def test_dropping_the_socket_again_and_again_leaves_no_wrong_card(moving, server):
    page = moving
    opened(page, server)
    page.evaluate(
        """() => {
        const Real = window.WebSocket;
        window.sockets = [];
        window.WebSocket = class extends Real {
          constructor(...given) { super(...given); window.sockets.push(this); }
        };
    }"""
    )
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    statuses = ["executing", "monitoring", "queued", "completed"]
    for n in range(12):
        server.do(
            lambda n=n: server.fleet.change(
                "tsk_0516",
                status=statuses[n % 4],
                finished_at=None if n % 4 < 3 else server.fleet.tasks["tsk_0460"]["finished_at"],
            )
        )
        page.evaluate("window.sockets.forEach((s) => s.close())")
    server.do(lambda: server.fleet.change("tsk_0516", status="executing", cost_usd=12.34))
    expect(page.locator("#cards-working #card-tsk_0516")).to_contain_text("$12.34")
    expect(page.locator("#card-tsk_0516")).to_have_count(1)


# --- every screen ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_nothing_overflows_at_any_width_and_nothing_breaks_the_policy(page, server, path):
    opened(page, server, path)
    for width in (320, 390, 768, 1024, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 844})
        over = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert over <= 0, f"{width} px: {over} too wide"


def test_on_a_phone_buttons_are_large_enough_and_a_decision_takes_one_tap(chromium, server):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with tab(chromium, **phone) as page:
        opened(page, server)
        small = page.locator(".ask button, .tabbar > *").evaluate_all(
            "all => all.filter(e => e.getBoundingClientRect().height < 44).map(e => e.textContent)"
        )
        assert small == []
        page.locator("#ask-bp_1 button", has_text="Merge").tap()
        expect(page.locator("#ask-bp_1")).to_have_count(0)
        opened(page, server, "/inbox")
        page.locator(".it").first.tap()
        expect(page.locator("#in-detail h1")).to_be_visible()
        assert page.complaints == []


def test_reduced_motion_stops_everything_that_moves(chromium, server):
    with tab(chromium, reduced_motion="no-preference") as page:
        opened(page, server)
        assert page.evaluate("document.getAnimations().length") > 0
    with tab(chromium) as page:
        opened(page, server)
        assert page.evaluate("document.getAnimations().length") == 0
        server.do(lambda: server.fleet.change("tsk_0513", status="executing"))
        expect(page.locator("#cards-working #card-tsk_0513")).to_be_visible()
        assert page.evaluate("document.getAnimations().length") == 0


def test_without_a_script_everything_can_be_read(chromium, server):
    with tab(chromium, java_script_enabled=False) as page:
        page.goto(f"{server.url}/tasks/tsk_0482?tab=checks")
        expect(page.locator("#t-checks")).to_contain_text("48 of 48 tests pass")
        page.locator("#tab-diff").click()
        expect(page.locator("#t-diff")).to_contain_text("policy.max_attempts")
        page.goto(f"{server.url}/")
        expect(page.locator("#card-tsk_0497")).to_contain_text("pytest tests/auth")


def test_the_theme_is_switched_and_kept(page, server):
    opened(page, server)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("Shift+T")
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


def test_the_token_of_a_link_is_exchanged_and_leaves_the_address(chromium, server):
    with tab(chromium) as page:
        page.goto(f"{server.url}/login?next=/inbox#the-right-token")
        page.wait_for_url(f"{server.url}/inbox")
        page.goto(f"{server.url}/login?next=//evil.test/#the-right-token")
        page.wait_for_url(f"{server.url}/")
        page.goto(f"{server.url}/login#wrong")
        expect(page.locator(".fault")).to_contain_text("does not open this door")
        assert "#" not in page.url


BRIEF = {"resultTypes": ["violations"], "preload": False}
"""Of what is well one place is enough; no rule of ours needs the style sheets a second time."""
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: python -m scripts.vendor --axe")
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("theme", "widths", "rules"),
    [
        pytest.param("light", (390, 1440), {}, id="light"),
        # Another theme changes nothing but colours.
        pytest.param("dark", (1440,), COLOURS, id="dark"),
        pytest.param("light", (1024,), {}, id="light between", marks=pytest.mark.long),
        pytest.param("dark", (390, 1024, 1440), {}, id="dark and all", marks=pytest.mark.long),
    ],
)
def test_axe_finds_nothing_on_any_page_at_any_width(chromium, server, theme, widths, rules):
    with tab(chromium, color_scheme=theme, bypass_csp=True) as page:
        # The checker takes so long that a live page would call itself out of date.
        page.route("**/static/live.*", lambda route: route.abort())
        for path in (*PAGES, "/login", "/tasks/tsk_0507"):
            page.goto(f"{server.url}{path}")
            page.add_script_tag(content=AXE.read_text())
            for width in widths:
                page.set_viewport_size({"width": width, "height": 900})
                told = page.evaluate("(rules) => axe.run(rules)", {**BRIEF, **rules})
                assert "color-contrast" in {rule["id"] for rule in told["passes"]}
                found = told["violations"]
                said = [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found]
                assert said == [], f"{path} at {width}"


def test_first_load_is_light_and_quick_with_five_hundred_tasks(chromium):
    fleet = busy_fleet()
    for n in range(500):
        fleet.add_task(f"One of very many tasks that wait for a slot, number {n}", number=2000 + n)
    with served(fleet) as server, tab(chromium) as page:
        sizes: dict[str, int] = {}
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        names: dict[str, str] = {}
        session.on(
            "Network.responseReceived",
            lambda e: names.update({e["requestId"]: e["response"]["url"]}),
        )
        session.on(
            "Network.loadingFinished",
            lambda e: sizes.update({names.get(e["requestId"], "?"): e["encodedDataLength"]}),
        )
        opened(page, server)
        page.wait_for_load_state("networkidle")
        scripts = sum(s for n, s in sizes.items() if re.search(r"\.(js|css|svg)$", n))
        fonts = sum(s for n, s in sizes.items() if n.endswith("woff2"))
        assert scripts < 60_000
        assert fonts < 95_000
        assert page.locator(".card").count() <= 200


def test_a_big_output_is_drawn_in_time_and_memory_stays_bounded(chromium):
    fleet = FakeFleet()
    task = fleet.add_task("Talks", "executing")
    line = "tests/test_a.py::test_{n} \x1b[32mPASSED\x1b[0m [ 42%]\n"
    agent = fleet.add_agent(task["id"], "".join(line.format(n=n) for n in range(100)))["id"]
    with served(fleet) as server, tab(chromium) as page:
        opened(page, server, f"/tasks/{task['id']}")
        more = "".join(line.format(n=n) for n in range(100, 15_000)) + "the very end\n"
        server.do(lambda: fleet.write(agent, more))
        expect(page.locator("#lines div", has_text="the very end").last).to_be_attached()
        assert page.locator("#lines .f2").count() <= 10_400
        assert page.complaints == []
