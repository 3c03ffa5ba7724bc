"""People with tokens of their own: what these open, who may decide what, and when that ends."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from starlette.routing import Router
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.houses import CALC, shell
from house.loopback import visitor
from house.patience import PATIENCE
from mcp_door.streets import TOKEN, Street, call, refused, street
from muster.cli.main import main
from muster.domain.errors import NeedsRole
from muster.domain.person import Person
from muster.web.app import routes
from muster.web.live import PROTOCOL

RULES = "rules:\n- name: mine\n  when: {files: [calc.py]}\n  do: {approve: lead}\n"
FILES = {**CALC, ".muster/breakpoints.yaml": RULES}
GOOD = shell("printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py; echo done")


class Town(Street):
    """A street whose houses have their pages, too."""

    def doors(self, session):
        app = super().doors(session)
        app.mount("/", Router(routes(self.place.service, session)))
        return app

    def as_(self, token: str = TOKEN, **more: Any):
        return visitor(self.url, headers={"Authorization": f"Bearer {token}"}, timeout=60, **more)

    async def give(self, name: str, *roles: str, by: str = TOKEN, **more: str) -> dict[str, Any]:
        """A token for somebody."""
        async with self.as_(by) as client:
            given = {"name": name, "roles": list(roles), **more}
            answer = await client.post("/api/tokens", json=given)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def tab(self, headers: dict[str, str]) -> connect:
        """The socket of an open page."""
        url = f"{self.url.replace('http', 'ws')}/ws"
        return connect(url, additional_headers=headers, subprotocols=[PROTOCOL])

    async def signed_in(self, token: str) -> dict[str, str]:
        """The cookies of a browser that was signed in with a token."""
        async with visitor(self.url) as client:
            answer = await client.post("/login", json={"token": token})
        assert answer.status_code == 204, answer.text
        return dict(answer.cookies)


@pytest.fixture
async def here(tmp_path):
    more = {"autonomy": "full", "files": FILES, "test_command": None}
    async with street(tmp_path, {"good": GOOD}, Town, **more) as made:
        yield made


HELLO = json.dumps({"channels": ["state"], "page": {"name": "fleet", "query": {}}})


async def test_a_token_opens_every_door_of_people_and_none_of_agents(here):
    anna = await here.give("anna", "lead")
    assert anna["token"] not in json.dumps((await here.place.service.list_events())["items"])
    async with here.as_(anna["token"]) as client:
        assert (await client.get("/api/tasks")).status_code == 200
        assert (await client.get("/inbox")).status_code == 200
        hook = await client.post("/hooks", json={})
        assert (hook.status_code, hook.json()["code"]) == (404, "not-found")
    async with here.client(anna["token"]) as client:
        assert "submit_task" in {tool.name for tool in (await client.list_tools()).tools}
    cookies = await here.signed_in(anna["token"])
    async with visitor(here.url, cookies=cookies) as page:
        assert (await page.get("/inbox")).status_code == 200
    async with here.tab({"Authorization": f"Bearer {anna['token']}"}) as live:
        await live.send(HELLO)
        assert await live.recv()
    async with here.as_(anna["token"][:-1] + "A") as stranger:
        assert (await stranger.get("/api/tasks")).status_code == 401


async def test_tokens_are_for_the_first_user_and_admins_who_give_no_role_they_lack(here):
    anna = await here.give("anna", "lead")
    boss = await here.give("boss", "admin")
    async with here.as_(anna["token"]) as client:
        for method, path in [
            ("POST", "/api/tokens"), ("GET", "/api/tokens"), ("DELETE", f"/api/tokens/{boss['id']}")
        ]:  # fmt: skip
            answer = await client.request(method, path, json={"name": "x", "roles": ["admin"]})
            assert (answer.status_code, answer.json()["code"]) == (403, "needs-role"), method
    async with here.as_(boss["token"]) as client:
        more = await client.post("/api/tokens", json={"name": "x", "roles": ["admin", "lead"]})
        assert (more.status_code, more.json()["roles"]) == (403, ["lead"])
        same = await client.post("/api/tokens", json={"name": "Anna"})
        assert (same.status_code, same.json()["code"]) == (409, "conflict")
        for bad in [
            {"name": ""}, {"name": "a person"}, {"name": "coding-1f3a9c02"}, {"name": "a\u202eb"},
            {"name": "x", "roles": ["The Boss"]}, {"name": "x", "expires": "soon"},
            {"name": "x", "expires": "99999w"}, {"name": "x", "token": "mine"},
        ]:  # fmt: skip
            answer = await client.post("/api/tokens", json=bad)
            assert (answer.status_code, bool(answer.json()["hint"])) == (422, True), bad
        second = await here.give("deputy", "admin", by=boss["token"])
        ended = await client.delete(f"/api/tokens/{anna['id']}")
        assert (ended.status_code, ended.json()["state"]) == (200, "revoked")
        listed = (await client.get("/api/tokens")).json()["items"]
    states = {each["name"]: (each["state"], each["created_by"]) for each in listed}
    assert states == {
        "anna": ("revoked", "a person"),
        "boss": ("living", "a person"),
        "deputy": ("living", "boss"),
    }
    assert "token" not in listed[0]
    assert (await here.give("anna", by=second["token"]))["roles"] == []


async def tries(here: Town, task: dict[str, Any], token: str) -> list[dict[str, Any]]:
    """What each door says to somebody who would decide about a task."""
    question = task["breakpoint"]["id"]
    label = task["label"]
    async with here.as_(token) as client:
        answers = [
            await client.post(path, json=body)
            for path, body in [
                (f"/api/breakpoints/{question}/resolve", {"answer": "merge"}),
                (f"/api/breakpoints/{question}/resolve", {"answer": "cancel"}),
                (f"/api/tasks/{label}/merge", None),
                (f"/api/tasks/{label}/retry", {"note": "again"}),
                (f"/api/agents/{task['agents'][0]['id']}/retry", None),
                (f"/api/tasks/{label}/checkpoints/1/restore", None),
            ]
        ]
    cookies = await here.signed_in(token)
    async with visitor(here.url, cookies=cookies, timeout=60) as page:
        text = (await page.get("/inbox")).text
        mark = text.split('name="csrf" content="')[1].split('"')[0]
        path = f"/api/breakpoints/{question}/resolve"
        marked = {"X-CSRF-Token": mark}
        answers.append(await page.post(path, json={"answer": "merge"}, headers=marked))
    assert {answer.status_code for answer in answers} == {403}
    async with here.client(token) as client:
        said = await refused(client, "answer_question", question=question, answer="merge")
    return [*(answer.json() for answer in answers), said]


def command(here: Town, token: str, *line: str) -> int:
    return main(["--url", here.url, "--token", token, *line])


async def test_a_role_is_needed_at_every_door_and_who_has_it_is_named_with_the_answer(here, capsys):
    jo, anna = await here.give("jo", "tester"), await here.give("anna", "lead")
    task = await here.place.do("good", type="chore")
    before = await here.place.service.get_task(task["id"])
    for said in await tries(here, before, jo["token"]):
        assert (said["code"], said["roles"], said["holders"]) == ("needs-role", ["lead"], ["anna"])
        assert "anna" in said["hint"]
    line = ("breakpoint", "resolve", task["breakpoint"]["id"], "merge")
    assert await asyncio.to_thread(command, here, jo["token"], *line) == 4
    assert "who could: anna" in capsys.readouterr().err
    after = await here.place.service.get_task(task["id"])
    unchanged = ("status", "stage", "result_commit", "breakpoint", "checkpoints", "attempt")
    assert {k: after[k] for k in unchanged} == {k: before[k] for k in unchanged}
    told = (await here.place.service.list_events(type="approval.refused"))["items"]
    assert len(told) == 9
    assert {(e["payload"]["by"], *e["payload"]["roles"]) for e in told} == {("jo", "lead")}
    assert "jo may not merge" in " ".join(line["text"] for line in after["trail"])
    assert await asyncio.to_thread(command, here, anna["token"], *line) == 0
    done = await here.place.until(task["id"], "completed")
    assert done["merged_commit"] == here.place.main()
    (asked,) = (await here.place.service.list_breakpoints(open_only=False))["items"]
    assert asked["by"] == "anna"
    async with here.as_(jo["token"]) as client:
        assert "by anna" in (await client.get("/inbox?view=decided")).text
        figures = (await client.get("/api/metrics")).json()
    assert list(figures["questions"]["by_person"]) == ["anna"]


async def test_a_task_that_was_cancelled_meanwhile_is_not_set_to_work_without_the_role(here):
    jo, anna = await here.give("jo"), await here.give("anna", "lead")
    task = await here.place.do("good", type="chore")
    async with here.as_(jo["token"]) as client:
        assert (await client.post(f"/api/tasks/{task['label']}/cancel")).status_code == 200
        for path, body in [
            (f"/api/tasks/{task['label']}/retry", {}),
            ("/api/agents/spawn", {"task": task["label"]}),
            (f"/api/tasks/{task['label']}/checkpoints/1/restore", None),
        ]:
            answer = await client.post(path, json=body)
            assert (answer.status_code, answer.json()["roles"]) == (403, ["lead"]), path
    service = here.place.service
    gone = Person("anna", frozenset({"lead"}), "tok_of_nobody")
    with pytest.raises(NeedsRole):
        await service.retry_task(task["id"], by=gone)
    assert (await service.get_task(task["id"]))["status"] == "cancelled"
    async with here.as_(anna["token"]) as client:
        assert (await client.post(f"/api/tasks/{task['label']}/retry")).status_code == 200
    assert (await here.place.until(task["id"]))["attempt"] == 2


async def test_a_manager_cannot_give_a_worker_the_approval_of_a_role(here):
    task, token = await here.hire("Make things", playbook="manager", runtime="process")
    async with here.client(token) as boss:
        made = {"id": "one", "prompt": "do it", "agent": "good", "type": "chore"}
        worker = await call(boss, "spawn_worker", **made)
        await here.place.until(worker["task"], "waiting")
        await call(boss, "cancel_worker", id="one")
        said = await refused(boss, "retry_worker", id="one", note="now really")
        assert (said["code"], said["roles"]) == ("needs-role", ["lead"])
        (left,) = (await call(boss, "list_workers"))["workers"]
        assert left["status"] == "cancelled"
    await here.let_go(task)


async def test_without_a_rule_any_token_decides_under_its_name(here):
    jo = await here.give("jo")
    task = await here.place.submit("holds", type="chore", autonomy="manual")
    async with here.client(jo["token"]) as client:
        await call(client, "approve_task", task=task["label"])
    trail = (await here.place.service.get_task(task["id"]))["trail"]
    assert "Approved by jo" in {line["text"] for line in trail}
    await here.token(task["label"])
    await here.let_go(task)


async def used_up(lines) -> None:
    async for _ in lines:
        pass


async def to_its_end(live) -> None:
    while True:
        await live.recv()


@pytest.mark.parametrize("how", ["revoked", pytest.param("expired", marks=pytest.mark.long)])
async def test_what_a_token_has_open_ends_with_it(here, how: str):
    anna = await here.give("anna", expires="1h")
    cookies = await here.signed_in(anna["token"])
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    async with here.as_(anna["token"]) as client, here.tab({"Cookie": header}) as live:
        await live.send(HELLO)
        async with client.stream("GET", "/api/events/stream") as answer:
            lines = answer.aiter_lines()
            assert await anext(lines)
            if how == "revoked":
                async with here.as_() as first:
                    await first.delete(f"/api/tokens/{anna['id']}")
            else:
                own = here.place.service._own
                own.clock = lambda: time.time() + 3601
            async with here.as_(anna["token"]) as next_one:
                assert (await next_one.get("/api/tasks")).status_code == 401
            async with asyncio.timeout(PATIENCE):
                await used_up(lines)
                with pytest.raises(ConnectionClosed) as closed:
                    await to_its_end(live)
        assert closed.value.rcvd.code == 4401
        assert (await client.get("/api/tasks")).status_code == 401
    async with visitor(here.url, cookies=cookies) as page:
        assert (await page.get("/api/tasks")).status_code == 401
        assert (await page.post("/login", json={"token": anna["token"]})).status_code == 401
    with pytest.raises(InvalidStatus):
        await here.tab({"Cookie": header})


async def test_who_waits_for_a_tokens_end_is_told_to_look_when_all_are_read_anew(here):
    anna = await here.give("anna")
    before = await here.place.service._living.known()
    before.at -= 60
    assert await here.place.service.person_of_token(anna["token"])
    assert before.over.is_set()
    assert not (await here.place.service._living.known()).over.is_set()


async def test_tokens_outlive_the_server_and_the_database_holds_none(here):
    anna = await here.give("anna", "lead")
    async with here.as_(anna["token"]) as client:
        assert (await client.get("/api/tasks")).status_code == 200
    await here.restart()
    async with here.as_(anna["token"]) as client:
        assert (await client.get("/api/tasks")).status_code == 200
    async with here.as_() as client:
        (kept,) = (await client.get("/api/tokens")).json()["items"]
    assert (kept["name"], kept["roles"], bool(kept["used_at"])) == ("anna", ["lead"], True)
    stored = b"".join(each.read_bytes() for each in here.place.home.glob("muster.db*"))
    assert kept["id"].encode() in stored
    assert anna["token"].encode() not in stored
