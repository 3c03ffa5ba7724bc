"""The socket of a tab: what differs is sent once, one frame at a time, and output by its offset."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from house.patience import PATIENCE
from web.fleet import FakeFleet
from web.house_of_pages import make_app


class Browser:
    """A tab without a screen: it keeps parts and lists as a page does, and acks when told to."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.parts: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        self.title = ""
        self.frames: list[dict[str, Any]] = []

    async def hello(self, name: str = "fleet", since: int = 0, **page: Any) -> None:
        channels = page.pop("channels", ["state"])
        visible = page.pop("visible", True)
        whole = {"name": name, "query": {}, "have": {}, "lists": {}, **page}
        await self.tell(since=since, channels=channels, visible=visible, page=whole)

    async def tell(self, **message: Any) -> None:
        await self.ws.send(json.dumps(message))

    async def message(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.ws.recv())

    async def frame(self, ack: bool = True) -> dict[str, Any]:
        """The next frame, drawn."""
        while "ops" not in (message := await self.message()):
            pass
        for operation in message["ops"]:
            self.draw(*operation)
        self.frames.append(message)
        if ack:
            await self.tell(ack=message["id"])
        return message

    def draw(self, kind: str, id: str = "", *rest: Any) -> None:
        if kind == "card":
            if id not in self.lists.get(rest[0], ()):
                self._leave(id)
                self.lists.setdefault(rest[0], []).append(id)
            self.parts[id] = rest[1]
        elif kind == "html":
            self.parts[id] = rest[0]
        elif kind == "order":
            assert sorted(self.lists[id]) == sorted(rest[0])
            self.lists[id] = rest[0]
        elif kind == "del":
            self._leave(id)
            del self.parts[id]
        elif kind == "text":
            assert id == "title"
            self.title = rest[0]

    def _leave(self, id: str) -> None:
        for items in self.lists.values():
            if id in items:
                items.remove(id)


class Server:
    """The web door on a real socket, in this loop."""

    def __init__(self, fleet: FakeFleet) -> None:
        self.fleet = fleet
        self.url = ""

    async def browse(self) -> ClientConnection:
        return await connect(self.url, subprotocols=["muster.v1"], max_size=2**24)


@contextlib.asynccontextmanager
async def served(fleet: FakeFleet) -> AsyncIterator[Server]:
    config = uvicorn.Config(
        make_app(fleet), log_level="error", lifespan="off", ws="websockets-sansio"
    )
    running = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        serving = asyncio.create_task(running.serve(sockets=[listening]))
        found = Server(fleet)
        found.url = f"ws://127.0.0.1:{listening.getsockname()[1]}/ws"
        try:
            yield found
        finally:
            running.should_exit = running.force_exit = True
            await serving


@pytest.fixture
async def server(fleet: FakeFleet) -> AsyncIterator[Server]:
    async with served(fleet) as found:
        yield found


@pytest.fixture
async def browser(server: Server) -> AsyncIterator[Browser]:
    """A tab that has nothing yet."""
    async with await server.browse() as ws:
        yield Browser(ws)


async def whole(browser: Browser, name: str = "fleet", **page: Any) -> dict[str, Any]:
    """The first frame of a tab that has only places, no parts."""
    places = [
        "figures", "needs", "filtered", "pause", "count-rail", "count-bar", "running",
        *(f"{what}-{c}" for what in ("head", "more")
          for c in ("queue", "planning", "working", "checking", "done")),
        *(f"t-{p}" for p in ("acts", "head", "plan", "trail", "gate", "team", "budget", "points",
                             "counts-diff", "counts-checks", "termbar", "checks", "diff",
                             "preview")),
        "in-list", "in-detail",
    ]  # fmt: skip
    await browser.hello(name, **{"have": dict.fromkeys(places, ""), **page})
    return await browser.frame()


async def test_a_socket_without_the_protocol_is_turned_away(server):
    with pytest.raises(InvalidStatus):
        await connect(server.url)


@pytest.mark.parametrize("hello", ["nonsense", "[]", "{}", '{"page": 7}', '{"page": {"have": 1}}'])
async def test_a_hello_that_makes_no_sense_ends_the_socket(server, hello):
    async with await server.browse() as ws:
        await ws.send(hello)
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                await ws.recv()
        assert ws.close_code == 4400


@pytest.mark.parametrize(
    "said", ['{"page": 1}', '{"logack": []}', '{"log": {"agent": 1}}', '{"log": 7}', "[]"]
)
async def test_a_message_that_makes_no_sense_ends_the_socket(server, said):
    async with await server.browse() as ws:
        await ws.send(json.dumps({"page": {"have": {}}}))
        await ws.send(json.dumps({"log": {"agent": "agt_none", "offset": 0}}))
        await ws.send(said)
        async with asyncio.timeout(PATIENCE):
            await ws.wait_closed()
        assert ws.close_code == 4400


async def test_a_tab_that_has_nothing_is_sent_everything_in_order(browser, fleet):
    frame = await whole(browser)
    assert frame["id"] == fleet.rev
    assert browser.title == "(4) Fleet · payments"
    assert browser.lists["cards-queue"][0] == "card-tsk_0513"
    assert len(browser.lists["cards-checking"]) == 5
    assert "4 waiting" in browser.parts["needs"]


async def test_a_tab_that_has_what_is_true_is_sent_nothing_until_something_changes(
    server, browser, fleet
):
    await whole(browser)
    digests = {id: _digest(html) for id, html in browser.parts.items()}
    async with await server.browse() as ws:
        second = Browser(ws)
        second.lists = {k: list(v) for k, v in browser.lists.items()}
        second.parts = dict(browser.parts)
        await second.hello(since=fleet.rev, have=digests, lists=browser.lists, title=browser.title)
        await second.tell(ping=1)
        assert "pong" in await second.message()
        fleet.change("tsk_0497", cost_usd=9.99)
        frame = await second.frame()
        assert [op[:2] for op in frame["ops"] if op[1].startswith("card")] == [
            ["card", "card-tsk_0497"]
        ]
        assert "$9.99" in second.parts["card-tsk_0497"]


def _digest(html: str) -> str:
    return html.partition('data-h="')[2].partition('"')[0]


async def test_a_change_is_sent_as_the_newest_state_not_as_its_history(browser, fleet):
    await whole(browser)
    for cost in range(50):
        fleet.change("tsk_0497", cost_usd=float(cost))
    frame = await browser.frame()
    while "$49.00" not in browser.parts["card-tsk_0497"]:
        frame = await browser.frame()
    assert frame["id"] == fleet.rev
    assert len(browser.frames) <= 4


async def test_a_second_frame_waits_until_the_first_is_drawn(browser, fleet):
    await whole(browser)
    fleet.change("tsk_0497", cost_usd=1.0)
    first = await browser.frame(ack=False)
    fleet.change("tsk_0497", cost_usd=2.0)
    fleet.change("tsk_0501", cost_usd=3.0)
    await browser.tell(ping=1)
    assert "pong" in await browser.message()
    await browser.tell(ack=first["id"] - 1)
    await browser.tell(ping=2)
    assert (await browser.message())["pong"] == 2
    await browser.tell(ack=first["id"])
    second = await browser.frame()
    assert "$2.00" in browser.parts["card-tsk_0497"]
    assert "$3.00" in browser.parts["card-tsk_0501"]
    assert second["id"] == fleet.rev


async def test_a_card_moves_between_columns_and_leaves_no_double(browser, fleet):
    await whole(browser)
    fleet.change("tsk_0513", status="executing")
    await browser.frame()
    assert "card-tsk_0513" in browser.lists["cards-working"]
    assert "card-tsk_0513" not in browser.lists["cards-queue"]


async def test_deciding_clears_every_badge_in_one_frame(browser, fleet):
    await whole(browser)
    await fleet.resolve_breakpoint("bp_1", "merge")
    frame = await browser.frame()
    kinds = {(op[0], op[1]) for op in frame["ops"]}
    assert {("html", "needs"), ("html", "count-rail"), ("html", "count-bar")} <= kinds
    assert ("text", "title") in kinds
    assert browser.title == "(3) Fleet · payments"
    assert "3 waiting" in browser.parts["needs"]
    assert "card-tsk_0482" in browser.lists["cards-done"]
    assert "bp_1" not in browser.parts["needs"]


async def test_a_hidden_tab_hears_only_that_somebody_waits_and_catches_up_when_looked_at(
    browser, fleet
):
    await whole(browser)
    await browser.tell(visible=False)
    await browser.tell(ping=1)
    assert "pong" in await browser.message()
    fleet.change("tsk_0497", cost_usd=7.0)
    fleet.ask("tsk_0501", "merge", "Merge?")
    frame = await browser.frame()
    assert {op[1] for op in frame["ops"]} == {"count-rail", "count-bar", "title"}
    await browser.tell(visible=True)
    await browser.frame()
    assert "$7.00" in browser.parts["card-tsk_0497"]
    assert "5 waiting" in browser.parts["needs"]


async def test_a_filter_that_is_typed_narrows_the_board_over_the_same_socket(browser):
    await whole(browser)
    await browser.tell(page={"name": "fleet", "query": {"q": "login"}})
    await browser.frame()
    assert browser.lists["cards-working"] == ["card-tsk_0497"]
    assert browser.lists["cards-queue"] == []
    await browser.tell(page={"name": "fleet", "query": {}})
    await browser.frame()
    assert len(browser.lists["cards-working"]) == 4


async def test_after_a_reconnect_nothing_is_wrong_missing_or_double(server, fleet):
    async with await server.browse() as ws:
        first = Browser(ws)
        await whole(first)
    fleet.change("tsk_0497", status="monitoring")
    fleet.add_task("Born while nobody looked", number=900)
    await fleet.resolve_breakpoint("bp_2", "cancel")
    async with await server.browse() as ws:
        again = Browser(ws)
        again.parts, again.lists = first.parts, first.lists
        have = {id: _digest(html) for id, html in first.parts.items()}
        await again.hello(have=have, lists=first.lists, title=first.title)
        await again.frame()
    async with await server.browse() as ws:
        fresh = Browser(ws)
        await whole(fresh)
    assert again.lists == fresh.lists
    assert {k: _digest(v) for k, v in again.parts.items()} == {
        k: _digest(v) for k, v in fresh.parts.items()
    }


async def test_a_page_of_another_build_or_another_outline_is_loaded_again(server):
    for page in ({"build": "older"}, {"shape": "fleet empty"}):
        async with await server.browse() as ws:
            browser = Browser(ws)
            await browser.hello(**page)
            assert (await browser.frame())["ops"] == [["reload"]]


async def test_a_page_about_something_that_has_gone_is_loaded_again(server):
    for page in ({"name": "task", "ref": "tsk_none"}, {"name": "novel"}):
        async with await server.browse() as ws:
            browser = Browser(ws)
            await browser.hello(**page)
            assert (await browser.frame())["ops"] == [["reload"]]


async def test_when_the_past_is_no_longer_kept_everything_is_read_anew(browser, fleet):
    await whole(browser)
    fleet.change("tsk_0497", cost_usd=8.0)
    fleet.oldest = fleet.rev
    await browser.frame()
    assert "$8.00" in browser.parts["card-tsk_0497"]


async def test_a_task_page_follows_its_task_and_not_the_others(browser, fleet):
    await whole(browser, "task", ref="tsk_0482")
    assert "May it be merged" in browser.parts["t-gate"]
    fleet.tell("tsk_0482", "merge.landed", "Merged into main at 123", "ok")
    await browser.frame()
    assert "Merged into main" in browser.parts["t-trail"]
    fleet.change("tsk_0497", cost_usd=8.0)
    await browser.tell(ping=1)
    message = await browser.message()
    assert "pong" in message or not any(op[1].startswith("t-") for op in message["ops"])


async def test_a_managers_page_follows_its_workers_and_a_workers_its_manager(browser, fleet):
    fleet.add_task("Split it", "executing", number=700, playbook="manager")
    own = {"parent_id": "tsk_0700", "errand": "one"}
    fleet.add_task("Write one", "executing", number=701, **own)
    await whole(browser, "task", ref="tsk_0700")
    assert "Running" in browser.parts["t-team"]
    fleet.change("tsk_0701", status="completed")
    await browser.frame()
    assert "Done" in browser.parts["t-team"]
    await whole(browser, "task", ref="tsk_0701")
    fleet.change("tsk_0700", status="cancelled")
    await browser.frame()
    assert "Cancelled" in browser.parts["t-team"]


async def test_an_inbox_follows_what_is_decided_elsewhere(browser, fleet):
    await whole(browser, "inbox")
    assert "Round prices" in browser.parts["in-list"]
    await fleet.resolve_breakpoint("bp_2", "cancel")
    await browser.frame()
    assert "Round prices" not in browser.parts["in-list"]


async def test_many_viewers_cost_one_read(server, fleet):
    tabs = []
    for _ in range(8):
        tab = Browser(await server.browse())
        await whole(tab)
        tabs.append(tab)
    fleet.calls.clear()
    fleet.change("tsk_0497", cost_usd=5.0)
    for tab in tabs:
        await tab.frame()
    assert fleet.calls.count(fleet.calls[0]) == len(fleet.calls) == 1
    for tab in tabs:
        await tab.ws.close()


# --- output ---------------------------------------------------------------------------------------


async def _output(browser: Browser, until: int, ack: bool = True) -> tuple[str, int]:
    """What comes of an agent's output, up to an offset."""
    text, reached = "", -1
    while reached < until:
        message = await browser.message()
        if "text" in message:
            text += message["text"]
            reached = message["next"]
            if ack:
                await browser.tell(logack=reached)
    return text, reached


async def test_output_goes_on_from_the_offset_that_a_tab_has_and_is_whole(server, fleet):
    task = fleet.add_task("Talks", "executing", number=800)
    agent = fleet.add_agent(task["id"], "first\n")["id"]
    async with await server.browse() as ws:
        browser = Browser(ws)
        await browser.hello("task", ref=task["id"], channels=["state", f"log:{agent}:0"])
        text, reached = await _output(browser, 6)
        fleet.write(agent, "second é\n")
        more, reached = await _output(browser, 16)
    fleet.write(agent, "third\n")
    async with await server.browse() as ws:
        browser = Browser(ws)
        await browser.hello("task", ref=task["id"], channels=[f"log:{agent}:{reached}"])
        rest, reached = await _output(browser, 22)
    assert text + more + rest == "first\nsecond é\nthird\n"


async def test_much_output_never_runs_more_than_a_window_ahead_and_arrives_unchanged(server, fleet):
    task = fleet.add_task("Talks much", "executing", number=800)
    said = "".join(f"line {n} of very many that an agent says\n" for n in range(40000))
    agent = fleet.add_agent(task["id"], said)["id"]
    async with await server.browse() as ws:
        browser = Browser(ws)
        await browser.hello("task", ref=task["id"], channels=[f"log:{agent}:0"])
        ahead, got = 0, []
        # Nothing is acknowledged until the server falls silent, which a pong then shows.
        await browser.tell(ping=0)
        while True:
            message = await browser.message()
            if "text" in message:
                got.append(message["text"])
                ahead += len(message["text"])
                last = message["next"]
                await browser.tell(ping=last)
            elif message.get("pong") and message["pong"] == last:
                break
        assert 0 < ahead <= 256 * 1024
        await browser.tell(logack=last)
        rest, _ = await _output(browser, len(said))
    whole_text = "".join(got) + rest
    assert hashlib.sha256(whole_text.encode()).digest() == hashlib.sha256(said.encode()).digest()


async def test_the_end_of_an_agent_is_told_with_its_exit_status(server, fleet):
    task = fleet.add_task("Ends", "executing", number=800)
    agent = fleet.add_agent(task["id"], "bye\n")["id"]
    async with await server.browse() as ws:
        browser = Browser(ws)
        await browser.hello("task", ref=task["id"], channels=[f"log:{agent}:0"])
        await _output(browser, 4)
        fleet.end_agent(agent, exit_code=3)
        while "end" not in (message := await browser.message()):
            pass
        assert message["end"]["exit_code"] == 3


async def test_an_agent_that_is_not_there_is_said_and_the_page_stays_live(server, fleet):
    async with await server.browse() as ws:
        browser = Browser(ws)
        await browser.hello(channels=["state", "log:coding-00000000:0"])
        while "lost" not in (message := await browser.message()):
            pass
        assert "no agent" in message["lost"]
        await browser.tell(ping=1)
        while "pong" not in await browser.message():
            pass


async def test_a_tab_can_turn_to_another_run_and_to_none(server, fleet):
    task = fleet.add_task("Two runs", "executing", number=800)
    one = fleet.add_agent(task["id"], "one\n")["id"]
    two = fleet.add_agent(task["id"], "two\n")["id"]
    async with await server.browse() as ws:
        browser = Browser(ws)
        await browser.hello("task", ref=task["id"], channels=[f"log:{one}:0"])
        assert (await _output(browser, 4))[0] == "one\n"
        await browser.tell(log={"agent": two, "offset": 0})
        assert (await _output(browser, 4))[0] == "two\n"
        await browser.tell(log=None)
        fleet.write(two, "unheard\n")
        await browser.tell(ping=5)
        while True:
            message = await browser.message()
            assert "text" not in message
            if message.get("pong") == 5:
                break
