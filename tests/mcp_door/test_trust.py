"""Nobody gets further through the MCP door than their token says, whatever they send."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys

import pytest
from mcp import MCPError

from house.all_files import contents
from house.loopback import visitor
from house.patience import PATIENCE
from mcp_door.streets import TOKEN, call, refused, street
from muster.gate import Session
from muster.mcp.rates import AT_ONCE, BURST, Rates, TooMany

PING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
async def here(tmp_path):
    async with street(tmp_path) as made:
        yield made


async def post(here, token: str | None, message=PING, path: str = "/mcp", **headers: str):
    given = {"Authorization": f"Bearer {token}"} if token else {}
    async with visitor(here.url, timeout=30) as client:
        return await client.post(path, json=message, headers={**ACCEPT, **given, **headers})


async def test_a_token_of_one_agent_does_nothing_to_another(here):
    _, first = await here.hire("secret of A")
    other, second = await here.hire("secret of B")
    async with here.client(first) as a, here.client(second) as b:
        asked = await call(b, "ask_person", question="of B", wait_seconds=0)
        await call(b, "take_locks", paths=["src"])
        own = await call(a, "claim_work")
        assert "secret of B" not in json.dumps(own)
        assert "secret of B" not in str(await a.read_resource("muster://task/brief"))
        assert (await call(a, "release_locks"))["released"] == []
        mine = await call(a, "ask_person", question="of B", wait_seconds=0)
        assert mine["question_id"] != asked["question_id"]
        for name in ("agent_id", "task_id", "task", "question_id"):
            problem = await refused(a, "report_progress", text="x", **{name: other["id"]})
            assert problem["code"] == "invalid"
        await call(a, "finish", status="failed", summary="of A")
        shown = await here.place.service.get_task(other["id"])
        assert shown["agents"][0]["result"] is None


@pytest.mark.parametrize("path", ["/mcp", "/hooks", "/api/tasks"])
async def test_who_hangs_up_in_the_middle_of_a_body_is_no_fault_of_the_server(here, path):
    _, agent = await here.hire("Hold still.")
    told: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())
    logging.getLogger("uvicorn.error").addHandler(handler)
    given = {
        "Host": here.url.removeprefix("http://"), "Content-Length": "100", **ACCEPT,
        "Authorization": f"Bearer {TOKEN if path == '/api/tasks' else agent}",
        "Content-Type": "application/json", "MCP-Protocol-Version": "2026-07-28",
    }  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n{{".encode())
        async with asyncio.timeout(PATIENCE):
            while not here.requests:
                await asyncio.sleep(0.01)
            writer.transport.abort()
            while here.requests:
                await asyncio.sleep(0.01)
        assert told == []
        assert (await post(here, agent)).status_code == 200
    finally:
        logging.getLogger("uvicorn.error").removeHandler(handler)


VALID = {
    "claim_work": {}, "report_progress": {"text": "x"}, "ask_person": {"question": "x"},
    "finish": {"status": "failed", "summary": "x"}, "search_context": {"query": "x"},
    "take_locks": {"paths": ["x"]}, "release_locks": {}, "list_locks": {},
    "emit_event": {"type": "own.x"}, "propose_subtasks": {"tasks": [{"description": "x"}]},
}  # fmt: skip
NAMES = ("agent", "task")


async def test_no_tool_resource_or_prompt_opens_anything_of_another_agent(here):
    _, first = await here.hire("secret of A")
    other, second = await here.hire("secret of B")
    async with here.client(second) as b:
        await call(b, "ask_person", question="secret question of B", wait_seconds=0)
    before = await here.place.service.list_events(0)
    shown = await here.place.service.get_task(other["id"])
    foreign = (other["label"], shown["agents"][0]["id"])
    async with here.client(first) as a:
        # Its own tools take no address at all, whatever it is called.
        assert {tool.name for tool in (await a.list_tools()).tools} == VALID.keys()
        for tool, given in VALID.items():
            for name in NAMES:
                for value in foreign:
                    problem = await refused(a, tool, **given, **{name: value})
                    assert problem["code"] == "invalid", (tool, name)
    async with here.client(TOKEN) as person:
        tools = {tool.name for tool in (await person.list_tools()).tools}
        resources = {str(one.uri) for one in (await person.list_resources()).resources}
        prompts = {one.name for one in (await person.list_prompts()).prompts}
    async with here.client(first) as a:
        # Those of people, which do take one, are not there for it.
        for tool in tools:
            problem = await refused(a, tool, task=other["label"], agent=foreign[1])
            assert problem["code"] == "not-found", tool
        for uri in (*resources, "muster://task/brief/x", f"muster://task/{other['id']}"):
            with pytest.raises(MCPError):
                await a.read_resource(uri)
        for prompt in prompts:
            with pytest.raises(MCPError):
                await a.get_prompt(prompt, {"task": other["label"]})
        for said in [
            *[str(await a.read_resource(one.uri)) for one in (await a.list_resources()).resources],
            *[str(await a.get_prompt(one.name)) for one in (await a.list_prompts()).prompts],
        ]:
            assert "secret of A" in said or "muster://task" in said
            assert "of B" not in said
    assert await here.place.service.list_events(0) == before
    assert await here.place.service.get_task(other["id"]) == shown


async def test_an_agents_token_opens_nothing_but_its_own_door(here):
    task, token = await here.hire()
    paths = ["/api/tasks", f"/api/tasks/{task['id']}", "/api/events", "/", "/metrics", "/mcp/"]
    async with visitor(here.url) as client:
        for path in paths:
            answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, path
    assert (await post(here, token)).status_code == 200


async def test_a_token_ends_with_its_attempt_and_the_next_one_has_another(here):
    task, token = await here.hire(autonomy="confirm")
    assert (await post(here, token)).status_code == 200
    await here.let_go(task)
    answer = await post(here, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "not-signed-in")
    for path in here.held.iterdir():
        path.unlink()
    await here.place.service.retry_task(task["id"])
    fresh = await here.token(task["label"])
    assert fresh != token
    assert (await post(here, token)).status_code == 401
    assert (await post(here, fresh)).status_code == 200


async def test_a_call_that_waits_is_refused_when_its_attempt_ends(here):
    task, token = await here.hire()
    async with here.client(token) as agent:
        asking = asyncio.create_task(refused(agent, "ask_person", question="?", wait_seconds=60))
        async with asyncio.timeout(PATIENCE):
            while not (await here.place.service.list_breakpoints())["items"]:
                await asyncio.sleep(0.02)
        await here.place.service.cancel_task(task["id"])
        async with asyncio.timeout(PATIENCE):
            assert (await asking)["code"] == "stale"


async def test_a_token_survives_the_servers_restart_but_is_not_stored(here):
    _, token = await here.hire()
    await here.restart()
    assert (await post(here, token)).status_code == 200
    for path, data in contents(here.place.home):
        assert token.encode() not in data, path


STRANGERS = [
    ({"Host": "evil.test"}, 421),
    ({"Host": "127.0.0.1"}, 421),
    ({"Origin": "http://evil.test"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Content-Type": "text/plain"}, 415),
    ({"Authorization": "Bearer"}, 401),
    ({"Authorization": "Bearer x"}, 401),
    ({"Authorization": "Basic eDp5"}, 401),
    ({"Accept": "text/html"}, 406),
    ({"MCP-Protocol-Version": "1999-01-01"}, 400),
]


async def test_strangers_stay_outside(here):
    given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **ACCEPT}
    async with visitor(here.url, timeout=30) as client:
        for headers, status in STRANGERS:
            sent = {**given, **headers}
            answer = await client.post("/mcp", content=json.dumps(PING), headers=sent)
            assert answer.status_code == status, headers
        assert (await client.post("/mcp", json=PING, headers=given)).status_code == 200


async def test_a_web_session_and_no_token_at_all_stay_outside(here):
    session = Session(TOKEN)
    cookie = session.fresh()
    marked = {"X-CSRF-Token": session.csrf(cookie), **ACCEPT}
    async with visitor(here.url, cookies={session.cookie_name: cookie}) as page:
        assert (await page.get("/api/tasks")).status_code == 200
        assert (await page.post("/mcp", json=PING, headers=marked)).status_code == 401
    assert (await post(here, None)).status_code == 401
    async with visitor(here.url) as client:
        for method in ("GET", "DELETE", "PUT"):
            assert (await client.request(method, "/mcp")).status_code == 401


DEEP: dict = {}
for _ in range(60):
    DEEP = {"x": DEEP}


BAD_ARGUMENTS = [
    ("report_progress", {}),
    ("report_progress", {"text": ""}),
    ("report_progress", {"text": "  \n"}),
    ("report_progress", {"text": "a\u0000b"}),
    ("report_progress", {"text": "x" * 5000}),
    ("report_progress", {"text": 7}),
    ("report_progress", {"text": ["x"]}),
    ("report_progress", {"text": "x", "percent": 101}),
    ("report_progress", {"text": "x", "percent": "40"}),
    ("report_progress", {"text": "x", "surprise": 1}),
    ("ask_person", {"question": "x", "options": "yes"}),
    ("ask_person", {"question": "x", "options": ["o"] * 9}),
    ("ask_person", {"question": "x", "options": [""]}),
    ("ask_person", {"question": "x" * 9000}),
    ("ask_person", {"question": "x", "wait_seconds": 1e9}),
    ("ask_person", {"question": "x", "wait_seconds": -1}),
    ("finish", {"status": "merged", "summary": "x"}),
    ("finish", {"status": "completed", "summary": "x", "data": []}),
    ("finish", {"status": "completed", "summary": "x", "data": DEEP}),
    ("finish", {"status": "completed", "summary": "x", "data": {"x": "y" * 300_000}}),
    ("search_context", {"query": "a\nb"}),
    ("search_context", {"query": "x", "below": "../.."}),
    ("search_context", {"query": "x", "below": ".git/config"}),
    ("search_context", {"query": "x", "limit": 10_000}),
    ("take_locks", {"paths": []}),
    ("take_locks", {"paths": ["/etc/passwd"]}),
    ("take_locks", {"paths": ["a/../b"]}),
    ("take_locks", {"paths": [".git"]}),
    ("take_locks", {"paths": ["x"] * 101}),
    ("take_locks", {"paths": ["x"], "minutes": 1e9}),
    ("emit_event", {"type": "x.y", "payload": "text"}),
    ("emit_event", {"type": "x.y", "payload": {"x": "y" * 70_000}}),
    ("emit_event", {"type": "täsk.x"}),
    ("propose_subtasks", {"tasks": []}),
    ("propose_subtasks", {"tasks": [{"description": ""}]}),
    ("propose_subtasks", {"tasks": [{"description": "x", "autonomy": "full"}]}),
    ("propose_subtasks", {"tasks": [{"description": "x", "after": [0]}]}),
    ("propose_subtasks", {"tasks": [{"description": "x", "after": [-1]}]}),
    ("propose_subtasks", {"tasks": [{"description": "x", "type": "wish"}]}),
    ("propose_subtasks", {"tasks": [{"description": "x", "paths": ["../x"]}]}),
    ("claim_work", {"task": "MU-1"}),
    ("no_such_tool", {}),
    ("../../api/tasks", {}),
]


async def test_a_bad_argument_gets_a_sentence_and_a_next_step(here):
    _, token = await here.hire()
    for tool, arguments in BAD_ARGUMENTS:
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = await post(here, token, message)
        assert answer.status_code == 200, params
        result = answer.json()["result"]
        assert result["isError"], params
        assert result["structuredContent"]["detail"], params
        assert result["structuredContent"]["hint"], params
        assert len(result["content"][0]["text"]) < 2000, params
    assert (await here.place.service.list_breakpoints())["items"] == []


BAD_MESSAGES = [
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"x"',
    b"[" * 50_000,
    b'{"jsonrpc": "2.0"}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call"}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 7}}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "no/such"}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "file:///x"}}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": {"name": "x"}}',
    b"x" * 2_000_000,
]


async def test_a_message_that_is_none_is_refused_and_breaks_nothing(here):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **ACCEPT}
    async with visitor(here.url, timeout=30) as client:
        for body in BAD_MESSAGES:
            answer = await client.post("/mcp", content=body, headers=headers)
            assert answer.status_code < 500, body[:80]
            assert answer.status_code >= 400 or "error" in answer.json(), body[:80]
            assert (await client.post("/mcp", json=PING, headers=headers)).status_code == 200


async def test_what_an_agent_says_is_kept_without_the_servers_secrets(here, monkeypatch):
    monkeypatch.setitem(here.place.settings.environ, "SOME_API_KEY", "hunter2-hunter2")
    _, token = await here.hire()
    async with here.client(token) as agent:
        await call(agent, "report_progress", text="the key is hunter2-hunter2")
        await call(agent, "finish", status="completed", summary="hunter2-hunter2",
                   data={"deep": [{"hunter2-hunter2": "x hunter2-hunter2"}]})  # fmt: skip
        await call(agent, "emit_event", type="x.y", payload={"k": "ghp_" + "a" * 36})
        await call(agent, "ask_person", question="hunter2-hunter2?", wait_seconds=0)
        await call(agent, "propose_subtasks", tasks=[{"description": "use hunter2-hunter2"}])
    for path, data in contents(here.place.home):
        assert b"hunter2-hunter2" not in data, path
        assert b"ghp_aaaa" not in data, path


async def test_open_questions_of_an_agent_are_few(here):
    _, token = await here.hire()
    async with here.client(token) as agent:
        for n in range(5):
            await call(agent, "ask_person", question=f"q{n}", wait_seconds=0)
        problem = await refused(agent, "ask_person", question="one more", wait_seconds=0)
        assert problem["code"] == "conflict"


def test_a_caller_gets_a_burst_and_then_a_steady_rate():
    now = [0.0]
    rates = Rates(lambda: now[0])
    for _ in range(BURST):
        rates.enter("a")
        rates.leave("a")
    with pytest.raises(TooMany) as slow:
        rates.enter("a")
    assert "wait" in slow.value.hint
    rates.enter("b")
    now[0] += 1.0
    for _ in range(5):
        rates.enter("a")
        rates.leave("a")
    with pytest.raises(TooMany):
        rates.enter("a")


def test_a_caller_has_few_calls_under_way():
    rates = Rates(lambda: 0.0)
    for _ in range(AT_ONCE):
        rates.enter("a")
    with pytest.raises(TooMany):
        rates.enter("a")
    rates.leave("a")
    rates.enter("a")


def test_the_server_starts_without_the_sdk():
    code = "import sys, muster.wiring.server; print(*{'mcp', 'mcp_types'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
