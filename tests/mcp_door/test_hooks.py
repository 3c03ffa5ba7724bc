"""The door for hooks: a path that another agent has locked is not changed, all else goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from house.loopback import visitor
from mcp_door.streets import TOKEN, call, street
from muster.mcp.rates import BURST


@pytest.fixture
async def here(tmp_path):
    async with street(tmp_path) as made:
        yield made


async def ask(here, token: str | None, body: Any, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with visitor(here.url, timeout=30) as client:
        given = {"content": body} if isinstance(body, (bytes, str)) else {"json": body}
        headers |= {"Content-Type": "application/json"}
        return await client.post("/hooks", headers=headers, **given, **more)


def before(path: Any, name: str = "file_path") -> dict[str, Any]:
    return {"hook_event_name": "PreToolUse", "tool_name": "Edit", "tool_input": {name: path}}


async def test_what_another_agent_has_locked_is_denied_with_its_name_and_told(here):
    first, holds = await here.hire()
    second, wants = await here.hire()
    async with here.client(holds) as client:
        await call(client, "take_locks", paths=["src"])
    tree = (await here.place.service.get_task(second["id"]))["agents"][0]["workspace"]
    holder = (await here.place.service.get_task(first["id"]))["agents"][0]["id"]
    for path, name in (
        (f"{tree}/src/a.py", "file_path"),
        (f"{tree}/x/../src", "file_path"),
        ("src/deep/a.ipynb", "notebook_path"),
    ):
        said = (await ask(here, wants, before(path, name))).json()["hookSpecificOutput"]
        assert said["permissionDecision"] == "deny"
        assert holder in said["permissionDecisionReason"]
    events = (await here.place.service.list_events(0, type="lock.kept"))["items"]
    assert [e["payload"]["path"] for e in events] == ["src/a.py", "src", "src/deep/a.ipynb"]
    assert {e["payload"]["by"] for e in events} == {holder}


async def test_its_own_locks_other_paths_and_other_hooks_are_let_be(here):
    task, token = await here.hire()
    _, holds = await here.hire()
    async with here.client(holds) as other, here.client(token) as own:
        await call(other, "take_locks", paths=["src"])
        await call(own, "take_locks", paths=["mine"])
    tree = (await here.place.service.get_task(task["id"]))["agents"][0]["workspace"]
    stop = {**before(f"{tree}/src/a.py"), "hook_event_name": "Stop"}
    for body in (
        *(before(f"{tree}/{path}") for path in ("mine/a.py", "srcs/a.py", "README.md")),
        *(before(path) for path in ("/etc/src/a.py", f"{tree}/../src/a.py", "../src", 7, None)),
        *(stop, {"hook_event_name": "PreToolUse", "tool_input": "src"}, {}),
    ):
        answer = await ask(here, token, body)
        assert (answer.status_code, answer.json()) == (200, {}), body


async def test_nobody_else_is_heard_and_garbage_is_refused(here):
    task, token = await here.hire()
    assert (await ask(here, None, {})).status_code == 401
    assert (await ask(here, "x" * 43, {})).status_code == 401
    assert (await ask(here, TOKEN, {})).status_code == 404
    for body in (b"{", b"[1]", b"[" * 200_000, b"\xff", b'"' + b"x" * 9_000_000 + b'"'):
        assert (await ask(here, token, body)).status_code == 422
    answers = await asyncio.gather(*(ask(here, token, {}) for _ in range(BURST + 40)))
    assert {answer.status_code for answer in answers} == {200, 429}
    await here.let_go(task)
    assert (await ask(here, token, {})).status_code == 401
