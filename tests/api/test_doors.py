"""The REST door over a real house: who may come in, what is answered, what is answered again."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess

import httpx
import pytest
import uvicorn

from engine.houses import shell, town
from house.loopback import visitor
from muster.api.app import make_app
from muster.gate import Gate, Session

TOKEN = "t" * 43
GOOD = shell("echo x > new-$MUSTER_TASK.txt; echo done")


class Door:
    """A house behind its gate, answering on a real port."""

    def __init__(self, place, url: str) -> None:
        self.place = place
        self.url = url

    def client(self, **headers: str) -> httpx.AsyncClient:
        given = {"Authorization": f"Bearer {TOKEN}", **headers}
        return visitor(self.url, headers=given, timeout=30)


@pytest.fixture
async def door(tmp_path):
    async with town(tmp_path, {"good": GOOD}, autonomy="confirm", test_command="true") as place:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        app = Gate(make_app(place.service, "0"), TOKEN, Session(TOKEN), (), port)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        )
        running = asyncio.create_task(server.serve(sockets=[listener]))
        yield Door(place, f"http://127.0.0.1:{port}")
        server.should_exit = True
        await running
        listener.close()


BODY = {"project": "repo", "description": "do it", "agent": "good", "type": "chore"}


async def test_every_route_needs_a_token_but_health_and_what_is_signed(door):
    others = {"/api/health": 200, "/api/github/webhook": 404}  # no secret is set, so none is there
    async with door.client() as client, visitor(door.url) as stranger:
        paths = (await client.get("/api/openapi.json")).json()["paths"]
        for path, methods in paths.items():
            for method in methods:
                address = path.replace("{", "").replace("}", "")
                answer = await stranger.request(method.upper(), address, json={})
                assert answer.status_code == others.get(path, 401), (method, path)
        assert (await stranger.get("/api/openapi.json")).status_code == 401
        wrong = await stranger.get("/api/tasks", headers={"Authorization": "Bearer x"})
        assert wrong.status_code == 401


FOREIGN = [
    ({"Host": "evil.test"}, 421),
    ({"Host": "127.0.0.1"}, 421),
    ({"Origin": "http://evil.test"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://["}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
]


async def test_other_sites_and_forms_may_not_act(door):
    async with door.client() as client:
        for headers, status in FOREIGN:
            sent = {"Content-Type": "application/json", **headers}
            answer = await client.post("/api/tasks", content=json.dumps(BODY), headers=sent)
            assert answer.status_code == status, headers
            assert (await client.get("/api/tasks")).json()["items"] == [], headers


async def test_a_web_session_acts_only_with_the_pages_mark(door):
    session = Session(TOKEN)
    cookie = await session.sign_in(TOKEN)
    assert await session.sign_in("wrong") is None
    async with visitor(door.url, cookies={session.cookie_name: cookie}) as page:
        assert (await page.get("/api/tasks")).status_code == 200
        assert (await page.post("/api/tasks", json=BODY)).status_code == 403
        marked = {"X-CSRF-Token": session.csrf(cookie)}
        assert (await page.post("/api/tasks", json=BODY, headers=marked)).status_code == 201
    forged = f"9999999999.x..{'0' * 40}"
    async with visitor(door.url, cookies={session.cookie_name: forged}) as page:
        assert (await page.get("/api/tasks")).status_code == 401


async def test_marks_beyond_ascii_are_wrong_marks_and_no_fault_of_the_server(door):
    session = Session(TOKEN)
    async with visitor(door.url) as page:
        strange = f'{session.cookie_name}="a.\xe9"'.encode("latin-1")
        answer = await page.get("/api/tasks", headers=[(b"Cookie", strange)])
        assert answer.status_code == 401, answer.text
        signed_in = f"{session.cookie_name}={session.fresh()}".encode()
        marked = [(b"Cookie", signed_in), (b"X-CSRF-Token", b"\xe9")]
        answer = await page.post("/api/tasks", json=BODY, headers=marked)
        assert answer.status_code == 403, answer.text


async def test_a_session_expires():
    now = [1000.0]
    session = Session(TOKEN, lambda: now[0])
    cookie = session.fresh()
    assert await session.person_of_cookie(cookie)
    of_a_version_before = f"{cookie.split('.')[0]}.xyz"
    signed = f"{of_a_version_before}.{session._sign(of_a_version_before)}"
    assert await session.person_of_cookie(signed) is None
    marked = f"csrf {cookie}.{session.csrf(cookie)}"
    assert await session.person_of_cookie(marked) is None
    now[0] += 13 * 3600
    assert await session.person_of_cookie(cookie) is None


async def test_a_task_is_made_once_for_its_key(door):
    async with door.client(**{"Idempotency-Key": "k1"}) as client:
        first = await client.post("/api/tasks", json=BODY)
        again = await client.post("/api/tasks", json=BODY)
        other = await client.post("/api/tasks", json={**BODY, "description": "else"})
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-key-reused")


async def test_an_act_whose_answer_was_lost_can_be_sent_again(door):
    task = await door.place.do("good", type="chore")
    async with door.client(**{"Idempotency-Key": "m1"}) as client:
        first = await client.post(f"/api/tasks/{task['id']}/merge")
        again = await client.post(f"/api/tasks/{task['id']}/merge")
    async with door.client() as client:
        third = await client.post(f"/api/tasks/{task['id']}/merge")
    assert (first.status_code, again.status_code, third.status_code) == (200, 200, 409)
    assert again.json() == first.json()


BAD_BODIES = [
    b"{",
    b"[]",
    b'"text"',
    b"null",
    b'{"project": 1, "description": "x"}',
    b'{"project": "repo"}',
    b'{"project": "repo", "description": "  "}',
    b'{"project": "repo", "description": "x", "priority": 99}',
    b'{"project": "repo", "description": "x", "surprise": 1}',
    b'{"project": "repo", "description": "x", "agent": "nobody"}',
    b'{"project": "repo", "description": "x", "type": "wish"}',
    b'{"project": "repo", "description": "x", "paths": ["../etc"]}',
    b'{"project": "repo", "description": "\\ud800"}',
    b'{"project": "repo", "description": "a\\u0000b"}',
    b'{"project": "repo", "description": "x", "after": ["MU-99"]}',
    b'{"project": "nowhere", "description": "x"}',
    b'{"budget_usd": NaN, "project": "repo", "description": "x"}',
    b"[" * 100_000,
]


async def test_a_bad_body_gets_a_sentence_and_a_next_step(door):
    async with door.client(**{"Content-Type": "application/json"}) as client:
        for body in BAD_BODIES:
            answer = await client.post("/api/tasks", content=body)
            assert 400 <= answer.status_code < 500, body[:100]
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert problem["detail"], body[:100]
            assert problem["hint"], body[:100]
            assert (await client.get("/api/tasks")).json()["items"] == [], body[:100]


async def test_lists_page_through_everything_once(door):
    async with door.client() as client:
        await client.post("/api/queue/settings", json={"paused": True})
        for _ in range(7):
            await client.post("/api/tasks", json=BODY)
        seen, after = [], ""
        while True:
            page = (await client.get(f"/api/tasks?limit=3{after}")).json()
            seen += [t["number"] for t in page["items"]]
            if not page["next"]:
                break
            after = f"&after={page['next']}"
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_a_task_answers_304_and_refuses_acts_on_an_older_state(door):
    task = await door.place.do("good", type="chore")
    async with door.client() as client:
        first = await client.get(f"/api/tasks/{task['label']}")
        tag = first.headers["ETag"]
        same = await client.get(f"/api/tasks/{task['id']}", headers={"If-None-Match": tag})
        assert same.status_code == 304
        stale = await client.post(f"/api/tasks/{task['id']}/merge", headers={"If-Match": '"1"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "changed-meanwhile")


async def frames(client, path: str, last: str | None = None):
    """The frames of a stream as (event, id, data)."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        frame: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                continue
            if not line and frame:
                yield frame["event"], frame.get("id"), json.loads(frame["data"])
                frame = {}
            elif line:
                name, _, value = line.partition(": ")
                frame[name] = value


async def test_events_resume_at_every_cut_without_a_gap_or_a_repeat(door):
    await door.place.do("good", type="chore")
    newest = door.place.service.current_rev()
    async with door.client() as client:
        for cut in range(0, newest, 4):
            seen = []
            async for _, event_id, data in frames(client, "/api/events/stream", str(cut) or None):
                assert int(event_id) == data["rev"]
                seen.append(data["rev"])
                if data["rev"] == newest:
                    break
            assert seen == list(range(cut + 1, newest + 1))
        future = await client.get("/api/events/stream", headers={"Last-Event-ID": "999999"})
        assert future.status_code == 422
        word = await client.get("/api/events/stream", headers={"Last-Event-ID": "x"})
        assert word.status_code == 422


async def test_a_follower_hears_from_memory_what_the_store_would_tell(door):
    await door.place.do("good", type="chore")
    service, feed = door.place.service, door.place.house.store.feed
    newest, told = service.current_rev(), []
    assert feed.since(0, 1) is not None, "nothing is at hand"
    for _ in range(2):
        follower, heard = service.follow_events(0), []
        while len(heard) < newest:
            heard.append(json.dumps(await anext(follower)))
        await follower.aclose()
        told.append(heard)
        feed.forget()
    assert told[0] == told[1]


async def test_an_agents_log_streams_live_and_resumes_by_offset(door):
    task = await door.place.do("good", type="chore")
    agent = task["agents"][0]["id"]
    async with door.client() as client:
        whole = [f async for f in frames(client, f"/api/agents/{agent}/logs?offset=0")]
        text = "".join(d["text"] for e, _, d in whole if e == "log")
        assert text == "done\n"
        assert whole[-1][0] == "end"
        assert whole[-1][2]["exit_code"] == 0
        rest = [f async for f in frames(client, f"/api/agents/{agent}/logs", last="2")]
        assert "".join(d["text"] for e, _, d in rest if e == "log") == "ne\n"
        page = (await client.get(f"/api/agents/{agent}/logs?offset=2&limit=1")).json()
        assert (page["items"][0]["text"], page["next"]) == ("n", 3)


async def test_outside_facts_are_kept_apart_from_musters_own(door):
    async with door.client() as client:
        made = await client.post(
            "/api/events",
            json={"type": "ci.finished", "subject": "build 7", "payload": {"ok": True}},
        )
        assert made.status_code == 201
        own = await client.post("/api/events", json={"type": "task.completed"})
        assert own.status_code == 422
        rev = made.json()["rev"]
        pending = (await client.get("/api/events/pending?limit=200")).json()["items"]
        assert rev in {e["rev"] for e in pending}
        assert (await client.post(f"/api/events/{rev}/processed")).status_code == 200
        assert (await client.post(f"/api/events/{rev}/processed")).status_code == 409
        done = (await client.get("/api/events/processed")).json()["items"]
        assert [e["rev"] for e in done] == [rev]


async def test_the_list_is_ordered_paused_and_cleared(door):
    async with door.client() as client:
        await client.post("/api/queue/settings", json={"paused": True})
        made = [(await client.post("/api/tasks", json=BODY)).json() for _ in range(2)]
        for task in reversed(made):
            assert (await client.post(f"/api/queue/add/{task['label']}")).status_code == 200
        queue = (await client.get("/api/queue")).json()
        assert [t["number"] for t in queue["items"]] == [2, 1]
        path = f"/api/queue/add/{made[0]['id']}"
        for _ in range(2):
            moved = (await client.post(path, json={"position": 1})).json()
            assert [t["number"] for t in moved["items"]] == [1, 2]
        assert (await client.post(path, json={"position": 0})).status_code == 422
        ordered = await client.post("/api/queue/order", json={"tasks": ["MU-2", "MU-1"]})
        assert [t["number"] for t in ordered.json()["items"]] == [2, 1]
        stale = await client.post("/api/queue/order", json={"tasks": ["MU-2"]})
        assert (stale.status_code, "left out: MU-1" in stale.json()["detail"]) == (409, True)
        urgent = await client.patch("/api/tasks/MU-1", json={"priority": 9})
        assert urgent.json()["priority"] == 9
        assert (await client.patch("/api/tasks/MU-1", json={"priority": 10})).status_code == 422
        queue = (await client.get("/api/queue")).json()
        assert [t["number"] for t in queue["items"]] == [1, 2]
        trail = (await client.get("/api/tasks/MU-1")).json()["trail"]
        assert "Priority 9" in [step["text"] for step in trail]
        assert (await client.delete(f"/api/queue/{made[1]['id']}")).status_code == 200
        bad = await client.post("/api/queue/settings", json={"max_concurrent": 0})
        assert bad.status_code == 422
        await client.post(f"/api/tasks/{made[0]['id']}/cancel")
        cleared = (await client.post("/api/queue/clear")).json()
        assert cleared["items"] == cleared["completed"] == []


async def test_a_project_is_registered_once_set_and_removed(door):
    async with door.client() as client:
        path = str(door.place.repo)
        again = await client.post("/api/projects", json={"path": path})
        assert again.status_code == 200
        found = (await client.get("/api/projects", params={"path": f"{path}/deep/down"})).json()
        assert [p["name"] for p in found["items"]] == ["repo"]
        changed = await client.patch(
            "/api/projects/repo", json={"settings": {"max_attempts": 5, "test_command": "make"}}
        )
        assert changed.json()["settings"]["max_attempts"] == 5
        assert changed.json()["sources"]["max_attempts"] == "database"
        back = await client.patch("/api/projects/repo", json={"settings": {"max_attempts": None}})
        assert back.json()["sources"]["max_attempts"] == "default"
        for wrong in ({"nothing": 1}, {"nothing": None}, {"max_attempts": "many"}):
            answer = await client.patch("/api/projects/repo", json={"settings": wrong})
            assert answer.status_code == 422
        nowhere = await client.post("/api/projects", json={"path": "/no/such/folder"})
        assert nowhere.status_code == 422
        assert (await client.delete("/api/projects/repo")).status_code == 204
        assert (await client.get("/api/projects")).json()["items"] == []


async def test_a_changed_configuration_is_refused_until_it_is_trusted_again(door):
    place = door.place
    task = await place.do("good", type="chore")
    subprocess.run(
        ["git", "-C", str(place.repo), "config", "filter.x.clean", "touch /tmp/x"], check=True
    )
    before = place.main()
    async with door.client() as client:
        await client.post(f"/api/tasks/{task['id']}/merge")
        refused = await place.until(task["id"], "waiting", "failed")
        assert "configuration" in refused["reason"]
        assert place.main() == before
        body = {"path": str(place.repo), "trust": True}
        assert (await client.post("/api/projects", json=body)).status_code == 200
        await client.post(f"/api/tasks/{task['id']}/retry")
        await place.until(task["id"], "waiting")
        await client.post(f"/api/tasks/{task['id']}/merge")
        assert (await place.until(task["id"], "completed"))["merged_commit"] == place.main()


async def test_a_checkpoint_puts_the_branch_back(door):
    task = await door.place.do("good", type="chore")
    async with door.client() as client:
        points = (await client.get(f"/api/tasks/{task['id']}/checkpoints")).json()["items"]
        begun = await client.post(f"/api/tasks/{task['id']}/checkpoints/1/restore")
        assert begun.json()["result_commit"] is None
        put = await client.post(f"/api/tasks/{task['id']}/checkpoints/2/restore")
        assert put.json()["result_commit"] == points[1]["commit"]
        none = await client.post(f"/api/tasks/{task['id']}/checkpoints/9/restore")
        assert none.status_code == 404


async def test_a_checkpoint_is_taken_and_forked_once_for_its_key(door):
    task = await door.place.do("good", type="chore")
    where = f"/api/tasks/{task['id']}/checkpoints"
    async with door.client(**{"Idempotency-Key": "k1"}) as client:
        taken = await client.post(where, json={"label": "as it is"})
        again = await client.post(where, json={"label": "as it is"})
        assert (taken.status_code, taken.json()["label"]) == (201, "as it is")
        assert again.headers["Idempotent-Replayed"] == "true"
        forks = [
            await client.post(f"{where}/{taken.json()['n']}/fork", json={"agent": "good"})
            for _ in range(2)
        ]
        assert [answer.status_code for answer in forks] == [201, 201]
        assert len({answer.json()["id"] for answer in forks}) == 1
        wrong = await client.post(f"{where}/{taken.json()['n']}/fork", json={"project": "repo"})
        assert wrong.status_code == 422
        assert (await client.post(f"{where}/99/fork", json={})).status_code == 404


async def test_a_cassette_of_an_ended_agent_can_be_had(door):
    task = await door.place.do("good", type="chore")
    async with door.client() as client:
        text = (await client.get(f"/api/agents/{task['agents'][0]['id']}/cassette")).text
    kinds = [json.loads(line)["kind"] for line in text.splitlines()]
    assert kinds == ["cassette", "out", "write", "exit"]


async def test_an_agent_is_killed_and_its_task_tried_again(door):
    place = door.place
    task = await place.do("good", type="chore")
    agent = task["agents"][0]["id"]
    async with door.client() as client:
        assert (await client.post(f"/api/agents/{agent}/kill")).status_code == 409
        again = await client.post(f"/api/agents/{agent}/retry")
        assert again.json()["status"] == "queued"
        await place.until(task["id"], "waiting")
        listed = (await client.get("/api/agents", params={"task": task["label"]})).json()
        assert [a["attempt"] for a in listed["items"]] == [2, 1]
        assert (await client.get("/api/agents/active")).json()["items"] == []
        page = (await client.get("/api/agents?limit=1")).json()
        rest = (await client.get(f"/api/agents?limit=5&after={page['next']}")).json()
        assert [a["attempt"] for a in rest["items"]] == [1]
