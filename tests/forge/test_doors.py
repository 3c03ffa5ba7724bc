"""The routes of GitHub and its webhook, through the gate of a real house."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select

from contracts.forge import BRANCH, WORK
from engine.houses import CALC, Town, git, shell, town
from forge.hubs import REPO, GitHubWorld
from forge.loopback_github import TOKEN, Hub, running_hub, signature
from muster.api.app import make_app
from muster.domain.person import FIRST_USER
from muster.gate import Gate, Session
from muster.service.forge_hooks import LARGEST_PAYLOAD
from muster.store.schema import pulls

OURS = "the-token-of-the-first-user-long-enough"
SECRET = "hook-secret-of-the-test"
HOOK = "/api/github/webhook"
ADDS = shell("printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py; echo done")
RULES = "rules:\n- name: mine\n  when: {files: [calc.py]}\n  do: {approve: lead}\n"
ME = {"Authorization": f"Bearer {OURS}"}


@pytest.fixture
def hub(tmp_path: Path):
    with running_hub(tmp_path / "hub") as made:
        yield made


@pytest.fixture
def world(hub: Hub) -> GitHubWorld:
    return GitHubWorld(hub)


@asynccontextmanager
async def house(
    root: Path, hub: Hub, files: Mapping[str, str] | None = None, **more: Any
) -> AsyncIterator[tuple[Town, httpx.AsyncClient]]:
    """A town that knows the hub, and its doors."""
    server = {
        "github_token": TOKEN, "github_owner": "team", "github_api_url": hub.enterprise_url,
        "github_webhook_secret": SECRET, **more,
    }  # fmt: skip
    async with town(root, {"adds": ADDS}, files, autonomy="confirm", server=server) as place:
        service = place.service
        session = Session(OURS, tokens=service)
        gate = Gate(make_app(service, "0"), OURS, session, (), 3020, service)
        transport = httpx.ASGITransport(gate)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:3020", timeout=60
        ) as client:
            yield place, client


async def test_work_goes_from_a_task_to_a_merge_by_the_routes(tmp_path, hub, caplog):
    caplog.set_level(logging.DEBUG)
    hub.create("team/app")
    async with house(tmp_path, hub, files={**CALC, ".muster/breakpoints.yaml": RULES}) as (
        place,
        client,
    ):
        client.headers.update(ME)
        git(place.repo, "remote", "add", "upstream", f"{hub.site}/team/app.git")
        hub_git = hub.rest.repos["team/app"].bare
        hub_git.git("fetch", "-q", str(place.repo), "main:main")
        body = {"settings": {"forge": "github", "github_repo": "team/app"}}
        assert (await client.patch("/api/projects/repo", json=body)).status_code == 200
        task = await place.do("adds", type="chore")
        assert task["status"] == "waiting", task["reason"]

        pushed = await client.post("/api/github/push", json={"task": task["label"]})
        assert pushed.status_code == 200, pushed.text
        assert hub_git.tip(task["branch"]) == pushed.json()["commit"] == task["result_commit"]
        made = [
            await client.post(
                "/api/github/pr", json={"task": task["id"], "title": "Subtract"},
                headers={"Idempotency-Key": "one"},
            )
            for _ in range(2)
        ]  # fmt: skip
        assert made[0].json() == made[1].json()
        assert made[0].json()["number"] == 1
        other = {"json": {"task": task["id"]}, "headers": {"Idempotency-Key": "one"}}
        assert (await client.post("/api/github/pr", **other)).status_code == 409
        assert len(hub.pulls("team/app")) == 1

        listed = (await client.get("/api/github/prs/repo")).json()["items"]
        assert [one["title"] for one in listed] == ["Subtract"]
        for path in ("team/app", "team%2Fapp", "app", "repo"):
            found = await client.get(f"/api/github/pr/{path}/1")
            assert found.status_code == 200, found.text
            assert found.json()["repo"] == "team/app"
        assert found.json()["checks"] == "none"
        await _offers(place, task, "team/app")
        anna = (await place.service.create_token({"name": "anna"}, FIRST_USER))["token"]
        merge = "/api/github/pr/team/app/1/merge"
        no = await client.post(merge, headers={"Authorization": f"Bearer {anna}"}, json={})
        assert (no.status_code, no.json()["code"]) == (403, "needs-role"), no.text
        hub.set_status("team/app", task["result_commit"], "failure")
        refused = await client.post(merge, json={"method": "squash"})
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        hub.set_status("team/app", task["result_commit"], "success")
        merged = await client.post(merge, json={"method": "squash"})
        assert merged.json()["state"] == "merged", merged.text
        assert "sub(a, b)" in hub.files("team/app")["calc.py"]

        ensured = (await client.post("/api/github/ensure-remote/repo")).json()
        assert (ensured["remote"], ensured["added"]) == ("upstream", False)
        git(place.repo, "remote", "remove", "upstream")
        for added in (True, False):
            ensured = (await client.post("/api/github/ensure-remote/team/app")).json()
            assert (ensured["remote"], ensured["added"]) == ("origin", added)
        assert git(place.repo, "remote", "get-url", "origin") == f"{hub.site}/team/app.git"
        told = json.dumps((await place.service.list_events(limit=200))["items"])
    kept = (tmp_path / "repo" / ".git" / "config").read_text()
    for words in (kept, told, caplog.text, json.dumps([one.json() for one in made])):
        assert TOKEN not in words


async def test_what_is_there_is_told_and_the_token_only_to_an_admin(tmp_path, hub, world):
    async with house(tmp_path, hub) as (place, client):
        assert (await client.get("/api/github/status")).status_code == 401
        client.headers.update(ME)
        status = (await client.get("/api/github/status")).json()
        assert (status["signed_in"], status["login"], status["webhook"]) == (
            True, "muster-bot", True,
        )  # fmt: skip
        assert TOKEN not in json.dumps(status)
        for path in ("team/app", "team%2Fapp", "app"):
            found = (await client.get(f"/api/github/repo/{path}")).json()
            assert (found["name"], found["private"]) == (REPO, True)
            branch = (await client.get(f"/api/github/repo/{path}/default-branch")).json()
            assert branch == {"repo": REPO, "default_branch": "main"}
        plain = (await client.get("/api/github/clone-url/app")).json()
        assert plain["url"] == f"{hub.site}/team/app.git"

        anna = (await place.service.create_token({"name": "anna"}, FIRST_USER))["token"]
        asked = "/api/github/clone-url/app?authenticated=true"
        no = await client.get(asked, headers={"Authorization": f"Bearer {anna}"})
        assert (no.status_code, no.json()["code"]) == (403, "needs-role")
        yes = await client.get(asked)
        assert yes.headers["cache-control"] == "no-store"
        where = tmp_path / "clone"
        await asyncio.to_thread(git, tmp_path, "clone", "-q", yes.json()["url"], str(where))
        assert (where / "calc.py").exists()
        told = json.dumps((await place.service.list_events(limit=200))["items"])
        assert TOKEN not in told

        for path, status in (
            ("repo/team/gone", 404), ("repo/a/b/c", 422), ("pr/team/app/0", 422),
            ("pr/team/app/9", 404), ("prs/team/app?state=half", 422),
        ):  # fmt: skip
            answer = await client.get(f"/api/github/{path}")
            assert answer.status_code == status, answer.text
            assert answer.json()["hint"]
        for body, status in (
            ({}, 422), ({"repo": REPO, "branch": "x y", "title": "t"}, 422),
            ({"repo": REPO, "branch": "none", "title": "t"}, 409),
            ({"repo": REPO, "branch": "main"}, 422), ({"task": "MU-99"}, 404),
        ):  # fmt: skip
            answer = await client.post("/api/github/pr", json=body)
            assert answer.status_code == status, answer.text
        missing = await client.post("/api/github/ensure-remote/team/other")
        assert missing.status_code == 404


async def test_without_a_token_or_a_forge_that_is_there_it_is_told_how_to_mend_that(tmp_path, hub):
    async with house(tmp_path, hub, github_token="", github_webhook_secret="") as (_, client):
        client.headers.update(ME)
        status = (await client.get("/api/github/status")).json()
        assert (status["signed_in"], status["webhook"]) == (False, False)
        assert "github_token" in status["mend"]
        asked = await client.get("/api/github/clone-url/app?authenticated=true")
        assert asked.status_code == 401
        unknown = await client.patch("/api/projects/repo", json={"settings": {"forge": "gitub"}})
        assert unknown.status_code == 422
        assert "github" in unknown.json()["hint"]
        assert (await client.post(HOOK, json={})).status_code == 404


async def test_a_webhook_is_taken_only_when_it_is_signed_and_once(tmp_path, hub, world):
    world.push(BRANCH, WORK)
    row = {"title": "Add", "head": BRANCH, "base": "main"}
    hub.act("anna", "POST", f"/repos/{REPO}/pulls", row)
    async with house(tmp_path, hub) as (place, client):
        task = await place.do("adds", type="chore")
        store = place.house.store
        await _offers(place, task, "Team/App")

        async def looked() -> int:
            """When it was looked at; as if it had just been, from then on."""

            def take(tx):
                found = tx.conn.execute(select(pulls.c.looked_at)).scalar_one()
                tx.conn.execute(pulls.update().values(looked_at=5))
                return found

            return await store.write(take)

        async def send(event: str, number: int | None, key: str, **more: str) -> httpx.Response:
            headers, body = hub.delivery(SECRET, event, REPO, number, key=key)
            return await client.post(HOOK, content=body, headers={**headers, **more})

        ping = await send("ping", None, "d-0")
        assert (ping.status_code, ping.json()["taken"]) == (202, False)
        for at, event in enumerate(("pull_request", "pull_request_review", "push", "status")):
            answer = await send(event, 1, f"d-1{at}")
            assert answer.json() == {"taken": True, "looks": 1, "again": False}
            assert await looked() == 0
        again = await send("pull_request", 1, "d-10")
        assert again.json() == {"taken": True, "looks": 1, "again": True}
        assert await looked() == 5

        document = {
            "repository": {"full_name": REPO},
            "check_suite": {"pull_requests": [{"number": 1}, {"number": "x"}, 7]},
        }
        answer = await _signed(client, "check_suite", json.dumps(document).encode(), "d-2")
        assert (answer.status_code, await looked()) == (202, 0)

        wrong = signature("another secret", b"{}")
        for headers in ({"X-Hub-Signature-256": wrong}, {"X-Hub-Signature-256": "sha256=x"}):
            answer = await send("pull_request", 1, "d-3", **headers)
            assert answer.status_code == 401, answer.text
        unsigned = await client.post(HOOK, json={"repository": {"full_name": REPO}})
        assert unsigned.status_code == 401
        assert await looked() == 5
        for odd in (b"", b"[]", b"[" * 100_000, b'{"repository": {"full_name": "../x"}}', b"\xff"):
            answer = await _signed(client, "push", odd, "d-4")
            assert answer.status_code == 422, answer.text
        large = await _signed(client, "push", b" " * (LARGEST_PAYLOAD + 1), "d-5")
        assert large.status_code == 413
        nameless = await _signed(client, "push", b"{}", "d 6/é")
        assert nameless.status_code == 422
        for path in ("/api/github/status", f"{HOOK}/", "/api/github/push"):
            assert (await client.post(path, json={})).status_code == 401
        assert (await client.get(HOOK)).status_code == 401
        for _ in range(60):
            await client.post(HOOK, json={})
        assert (await client.post(HOOK, json={})).status_code == 429
        assert (await send("push", None, "d-7")).status_code == 429
        assert hub.requests == []


async def _signed(client: httpx.AsyncClient, event: str, body: bytes, key: str) -> httpx.Response:
    headers = {
        "Content-Type": "application/json", "X-GitHub-Event": event,
        "X-GitHub-Delivery": key.encode("utf-8"), "X-Hub-Signature-256": signature(SECRET, body),
    }  # fmt: skip
    return await client.post(HOOK, content=body, headers=headers)


async def _offers(place: Town, task: dict[str, Any], repo: str) -> None:
    """Keep, as the engine does, that the first pull request of a repository offers a task."""
    row = {
        "task_id": task["id"], "project_id": task["project_id"], "forge": "github",
        "repo": repo, "number": 1, "url": "", "branch": BRANCH, "base": "main",
        "head": "a" * 40, "state": "open", "heard": {}, "created_at": 1, "updated_at": 1,
        "looked_at": 5,
    }  # fmt: skip
    await place.house.store.write(lambda tx: tx.conn.execute(insert(pulls).values(**row)) and None)
