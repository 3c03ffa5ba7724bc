"""The crew with GitHub: its pull request, its reviews and its merge are where people see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine.crews import CHANGES, FILES, TESTS, crew
from engine.houses import Town, git, town
from forge.loopback_github import TOKEN, Hub, loopback_github
from muster.engine import pull_watch

REPO = "team/app"
PEOPLE = """
on: {task.assigned: coding, pr.changes.requested: coding, pr.merged: complete}
waits_for: [pr.created, pr.updated, pr.changes.requested, pr.merged]
limits: {pr.changes.requested: 3}
"""
_RED = {"state": "failure", "statuses": [{"state": "failure", "context": "ci"}], "total_count": 1}


@asynccontextmanager
async def hosted(
    tmp_path: Path, agents: dict[str, Any], **project: Any
) -> AsyncIterator[tuple[Town, Hub]]:
    """A town whose repository is at a loopback GitHub, too."""
    async with loopback_github(tmp_path / "hub") as hub:
        server = {"github_api_url": hub.url, "github_token": TOKEN}
        own = {"test_command": TESTS, "forge": "github", "github_repo": REPO, **project}
        async with town(tmp_path, agents, FILES, server=server, **own) as place:
            bare = hub.create(REPO, FILES).bare
            hub.person("anna", REPO)
            git(place.repo, "push", "-q", "--force", str(bare.path), "main")
            yield place, hub


def asked(hub: Hub, *lines: str) -> list[str]:
    """Of the requests that change something, those of these beginnings."""
    return [r.line for r in hub.requests if r.line.startswith(lines or ("POST", "PUT", "PATCH"))]


async def test_a_task_is_offered_reviewed_and_merged_at_github(tmp_path):
    agents = crew(tmp_path, reviewer_1=CHANGES)
    async with hosted(tmp_path, agents, deploy_command="true") as (place, hub):
        made = await place.submit(None, "write it", playbook="crew")
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        (pull,) = hub.pulls(REPO)
        assert pull["merged"]
        assert pull["branch"] == task["branch"]
        said = [review["body"].splitlines()[0] for review in hub.reviews(REPO)]
        assert said == ["**Changes requested.** Not yet.", "**Approved.** Fine."]
        assert set(hub.files(REPO)) > {"README.md", "made-MU-1-0.txt", "made-MU-1-1.txt"}
        # The person's own branch followed, and what was deployed is what was merged there.
        assert place.main() == hub.rest.repos[REPO].bare.tip("main") == task["merged_commit"]
        assert task["crew"]["deployment"]["commit"] == task["merged_commit"]
        assert task["crew"]["pull"]["url"].endswith(f"/{REPO}/pull/1")
        (merged,) = (await place.service.list_events(None, 10, type="pr.merged"))["items"]
        assert merged["payload"] == {
            "number": 1, "branch": "main", "commit": task["merged_commit"]
        }  # fmt: skip
        opened = [line for line in asked(hub) if line.endswith("/pulls")]
        assert opened == [f"POST /repos/{REPO}/pulls"]


async def test_what_people_do_at_github_leads_the_task_on(tmp_path):
    async with hosted(tmp_path, crew(tmp_path)) as (place, hub):
        books = tmp_path / "home" / "playbooks"
        books.mkdir()
        (books / "people.yaml").write_text(PEOPLE)
        made = await place.submit(None, "write it", playbook="people")
        await place.until_offered(made["id"])
        hub.review(REPO, 1, "anna", "REQUEST_CHANGES", "Say why.")
        await pull_watch.look(place.house.tools, every=0)
        task = await place.until_offered(made["id"], rounds=1)
        assert "Say why." in (place.run_dir(task["agents"][0]["id"]) / "brief.md").read_text()
        hub.merge(REPO, 1, "anna")
        await pull_watch.look(place.house.tools, every=0)
        await pull_watch.look(place.house.tools, every=0)
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert place.main() == hub.rest.repos[REPO].bare.tip("main")


async def test_checks_that_fail_there_are_put_to_a_person_and_nothing_is_merged(tmp_path):
    async with hosted(tmp_path, crew(tmp_path)) as (place, hub):
        hub.order("GET /repos/*/commits/*/status", times=50, status=200, body=_RED)
        made = await place.submit(None, "write it", playbook="crew")
        task = await place.until(made["id"])
        assert task["status"] == "waiting"
        assert "checks of github failed" in task["reason"]
        assert not hub.pulls(REPO)[0]["merged"]


async def test_a_pull_request_of_a_cancelled_task_is_closed(tmp_path):
    async with hosted(tmp_path, crew(tmp_path), autonomy="confirm") as (place, hub):
        made = await place.submit(None, "write it", playbook="crew")
        await place.until(made["id"], "waiting")
        await place.service.cancel_task(made["id"])
        for _ in range(2):
            await pull_watch.look(place.house.tools, every=0)
        assert [pull["state"] for pull in hub.pulls(REPO)] == ["closed"]
        assert "MU-1 was cancelled" in hub.comments(REPO)[-1]["body"]
        task = await place.service.get_task(made["id"])
        assert task["crew"]["pull"]["state"] == "closed"
