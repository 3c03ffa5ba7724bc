"""What goes wrong around a crew, and what must not come of it: an unreviewed merge, no end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.crews import CHANGES, FILES, TESTS, crew, ran
from engine.houses import Town, commit, git, town, waiting_for
from engine.test_breakpoints import RULES, mine
from engine.test_crew_github import REPO, hosted
from engine.test_parts import BOTH, two
from house.patience import PATIENCE
from muster.domain.errors import Conflict
from muster.engine import pull_watch

ONE_ROUND = """
on: {task.assigned: coding, pr.created: reviewer, pr.updated: reviewer,
     pr.changes.requested: coding, pr.approved: merge, pr.merged: complete}
limits: {pr.changes.requested: 1}
"""
BY_CI = """
on: {task.assigned: coding, pr.created: reviewer, pr.updated: reviewer,
     pr.changes.requested: coding, pr.approved: ask, ci.finished: merge, pr.merged: complete}
waits_for: [ci.finished]
limits: {pr.changes.requested: 1}
"""
SAYS_CI = """if [ "$MUSTER_ROLE" = coding ]; then
cd "$MUSTER_MAILBOX/events"; echo '{"type": "ci.finished", "payload": {}}' > a.part
mv a.part a.json; cd "$OLDPWD"
while [ -e "$MUSTER_MAILBOX/events/a.json" ]; do sleep 0.02; done; fi;
"""


async def when(place: Town, ref: str, so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The task as soon as it is so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            seen = place.service.current_rev()
            task = await place.service.get_task(ref)
            if so(task):
                return task
            await place.service.wait_change(seen, 5)


def held(agents: dict[str, Any], role: str, go: Path) -> dict[str, Any]:
    """The agents, of which those in a role wait for a file."""
    wait = f'if [ "$MUSTER_ROLE" = {role} ]; then {waiting_for(go)} fi;'
    return first(agents, wait)


def first(agents: dict[str, Any], words: str) -> dict[str, Any]:
    for agent in agents.values():
        agent["command"][2] = words + agent["command"][2]
    return agents


def became(task: dict[str, Any], kind: str) -> list[str]:
    """What became of the events of a kind."""
    return [one["state"] for one in task["crew"]["events"] if one["type"] == kind]


def book(home: Path, name: str, text: str) -> None:
    folder = home / "playbooks"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)


async def say(place: Town, ref: str, kind: str, **payload: Any) -> None:
    await place.service.emit_event({"type": kind, "task": ref, "payload": payload})


async def test_an_approval_that_comes_before_there_is_anything_to_approve_counts_for_nothing(
    tmp_path,
):
    agents = held(crew(tmp_path), "coding", tmp_path / "go")
    async with town(tmp_path, agents, FILES, test_command=TESTS) as place:
        made = await place.submit(None, "write it", playbook="crew")
        await when(place, made["id"], lambda t: t["crew"]["step"] == "coding")
        await say(place, made["id"], "pr.approved")
        (tmp_path / "go").touch()
        task = await place.until(made["id"])
        assert became(task, "pr.approved") == ["refused", "done"]
        assert "reviewer judge" in ran(tmp_path)


async def test_what_the_coder_says_itself_leads_nowhere(tmp_path):
    agents = first(crew(tmp_path, reviewer=CHANGES), SAYS_CI)
    async with town(tmp_path, agents, FILES, test_command=TESTS) as place:
        book(tmp_path / "home", "ci", BY_CI)
        made = await place.submit(None, "write it", playbook="ci")
        task = await place.until(made["id"])
        assert (task["status"], task["merged_commit"]) == ("waiting", None)
        assert became(task, "ci.finished") == []


async def test_opinions_after_the_merge_lead_nowhere(tmp_path):
    agents = held(crew(tmp_path), "deployer", tmp_path / "go")
    async with town(tmp_path, agents, FILES, test_command=TESTS, deploy_command="true") as place:
        made = await place.submit(None, "write it", playbook="crew")
        await when(place, made["id"], lambda t: t["crew"]["step"] == "deployer")
        await say(place, made["id"], "pr.changes.requested", summary="no")
        (tmp_path / "go").touch()
        task = await place.until(made["id"])
        assert task["status"] == "completed"
        assert ran(tmp_path)[-2:] == ["deployer coder", "verifier judge"]


async def test_an_event_that_cannot_lead_on_holds_up_no_other_task(tmp_path):
    agents = held(crew(tmp_path), "verifier", tmp_path / "go")
    async with town(tmp_path, agents, FILES, test_command=TESTS, deploy_command="true") as place:
        made = await place.submit(None, "write it", playbook="crew")
        await when(place, made["id"], lambda t: t["crew"]["step"] == "verifier")
        await say(place, made["id"], "verify.failed", checks=None)
        (tmp_path / "go").touch()
        task = await place.until(made["id"])
        assert task["status"] == "failed"
        other = await place.do(None, "write it too", playbook="solo")
        assert other["status"] == "completed"


async def test_a_second_approval_of_a_part_asks_nothing_twice(tmp_path):
    agents = crew(tmp_path, starter=BOTH)
    async with town(tmp_path, agents, FILES, test_command=TESTS, autonomy="confirm") as place:
        made = await two(tmp_path, place)
        task = await place.until(made["id"], "waiting")
        part = task["workers"][0]["id"]
        await say(place, part, "pr.approved")
        await when(place, part, lambda t: len(became(t, "pr.approved")) == 2)
        assert len((await place.service.list_breakpoints())["items"]) == 1
        await place.service.merge_task(made["id"])
        assert (await place.until(made["id"]))["status"] == "completed"


async def test_a_part_whose_merge_was_asked_about_takes_the_others_along(tmp_path):
    agents = crew(tmp_path, starter=BOTH)
    async with town(tmp_path, agents, FILES, test_command=TESTS, autonomy="confirm") as place:
        made = await two(tmp_path, place)
        task = await place.until(made["id"], "waiting")
        ours, theirs = (w["label"] for w in task["workers"])
        commit(tmp_path / "web", {f"made-{theirs}-0.txt": "another\n"})
        await place.service.merge_task(task["id"])
        await place.until(theirs, "waiting")
        await when(place, ours, lambda t: t["stage"] == "handed_on")
        git(tmp_path / "web", "reset", "-q", "--hard", "HEAD~1")
        await place.service.merge_task(theirs)
        assert (await place.until(made["id"]))["status"] == "completed"


async def test_a_task_whose_parts_were_cancelled_is_planned_again_and_no_part_alone(tmp_path):
    agents = crew(tmp_path, starter=BOTH)
    async with town(tmp_path, agents, FILES, test_command=TESTS, autonomy="confirm") as place:
        made = await two(tmp_path, place)
        task = await place.until(made["id"], "waiting")
        with pytest.raises(Conflict, match="waits with its parts"):
            await place.service.retry_task(made["id"])
        await place.service.cancel_task(made["id"])
        with pytest.raises(Conflict, match="is a part of MU-1, which has cancelled"):
            await place.service.retry_task(task["workers"][0]["id"])
        await place.service.retry_task(made["id"])
        task = await place.until(made["id"], "waiting")
        assert task["reason"] == "all of its parts are approved"
        assert ran(tmp_path).count("starter coder") == 2
        assert len(task["workers"]) == 4


async def test_after_too_many_rounds_the_coder_is_told_what_is_wanted(tmp_path):
    agents = held(crew(tmp_path, reviewer=CHANGES), "coding", tmp_path / "go")
    (tmp_path / "go").touch()
    async with town(tmp_path, agents, FILES, test_command=TESTS) as place:
        book(tmp_path / "home", "one", ONE_ROUND)
        made = await place.submit(None, "write it", playbook="one")
        task = await place.until(made["id"], "waiting")
        (tmp_path / "go").unlink()
        await place.service.retry_task(made["id"])
        last = len(task["agents"])
        task = await when(place, made["id"], lambda t: len(t["agents"]) == last + 1)
        told = place.run_dir(task["agents"][0]["id"]) / "brief.md"
        await when(place, made["id"], lambda _t: told.exists())
        assert "Say why." in told.read_text()
        (tmp_path / "go").touch()


async def test_nobody_takes_over_from_a_reviewer_least_of_all_the_writer(tmp_path):
    agents = crew(tmp_path, reviewer=None)
    agents["third"] = {**agents["judge"], "command": [*agents["judge"]["command"]]}
    agents["third"]["command"][2] = agents["third"]["command"][2].replace("=judge", "=third")
    more = {"agent": "coder", "fallback_agents": "third"}
    async with town(tmp_path, agents, FILES, test_command=TESTS, **more) as place:
        made = await place.submit(None, "write it", playbook="crew")
        await place.until(made["id"])
        assert set(ran(tmp_path)[2:]) == {"reviewer judge"}


async def test_a_rule_about_work_holds_no_role_that_reports(tmp_path):
    files = {**FILES, RULES: mine("{attempts: {above: 2}, decision: accept}")}
    agents = crew(tmp_path)
    async with town(tmp_path, agents, files, test_command=TESTS, deploy_command="true") as place:
        await place.service.add_project({"path": str(place.repo), "trust": True})
        made = await place.submit(None, "write it", playbook="crew")
        assert (await place.until(made["id"]))["status"] == "completed"


async def test_an_order_from_outside_waits_for_a_go_where_all_do(tmp_path):
    agents, own = crew(tmp_path), {"deploy_command": "true", "autonomy": "manual"}
    async with town(tmp_path, agents, FILES, test_command=TESTS, **own) as place:
        project = (await place.service.list_projects())["items"][0]["id"]
        await place.service.emit_event({"type": "deploy.requested", "project_id": project})
        async with asyncio.timeout(PATIENCE):
            while not (found := (await place.service.list_tasks())["items"]):
                await place.service.wait_change(place.service.current_rev(), 0.2)
        assert (found[0]["status"], ran(tmp_path)) == ("proposed", [])
        await place.service.approve_task(found[0]["id"])
        task = await place.until(found[0]["id"], "completed")
        assert ran(tmp_path) == ["deployer coder", "verifier judge"]
        assert task["crew"]["deployment"]["commit"] == place.main()


# --- at GitHub ------------------------------------------------------------------------------------


async def test_what_somebody_pushes_is_reviewed_and_checked_before_it_is_merged(tmp_path):
    async with hosted(tmp_path, crew(tmp_path), autonomy="confirm") as (place, hub):
        made = await place.submit(None, "write it", playbook="crew")
        task = await place.until(made["id"])
        bare = hub.rest.repos[REPO].bare.path
        git(tmp_path, "clone", "-q", "-b", task["branch"], str(bare), str(tmp_path / "anna"))
        commit(tmp_path / "anna", {"test_red.sh": "exit 1\n"})
        git(tmp_path / "anna", "push", "-q", "origin", f"HEAD:{task['branch']}")
        await pull_watch.look(place.house.tools, every=0)
        await when(place, made["id"], lambda t: len(became(t, "pr.approved")) == 2)
        task = await place.until(made["id"], "waiting")
        assert ran(tmp_path).count("reviewer judge") == 2
        await place.service.merge_task(made["id"])
        task = await when(place, made["id"], lambda t: t["stage"] in {"waiting", "completed"})
        assert task["status"] == "waiting"
        assert "test_red.sh" not in hub.files(REPO)


async def test_a_pull_request_that_was_closed_gives_way_to_the_next_one(tmp_path):
    async with hosted(tmp_path, crew(tmp_path), autonomy="confirm") as (place, hub):
        made = await place.submit(None, "write it", playbook="crew")
        await place.until(made["id"], "waiting")
        hub.act("anna", "PATCH", f"/repos/{REPO}/pulls/1", {"state": "closed"})
        await pull_watch.look(place.house.tools, every=0)
        await place.service.retry_task(made["id"])
        await when(place, made["id"], lambda t: t["crew"]["pull"]["number"] == 2)
        await when(place, made["id"], lambda t: len(became(t, "pr.approved")) == 2)
        await place.until(made["id"], "waiting")
        await place.service.merge_task(made["id"])
        assert (await place.until(made["id"]))["status"] == "completed"
        assert [pull["merged"] != "" for pull in hub.pulls(REPO)] == [False, True]


async def test_commits_of_somebody_else_on_the_branch_there_are_put_to_a_person(tmp_path):
    agents = held(crew(tmp_path, reviewer_1=CHANGES), "reviewer", tmp_path / "go")
    async with hosted(tmp_path, agents) as (place, hub):
        made = await place.submit(None, "write it", playbook="crew")
        task = await when(place, made["id"], lambda t: t["crew"]["step"] == "reviewer")
        bare = hub.rest.repos[REPO].bare.path
        git(tmp_path, "clone", "-q", "-b", task["branch"], str(bare), str(tmp_path / "anna"))
        commit(tmp_path / "anna", {"anna.txt": "mine\n"})
        git(tmp_path / "anna", "push", "-q", "origin", f"HEAD:{task['branch']}")
        (tmp_path / "go").touch()
        task = await place.until(made["id"])
        assert task["status"] == "waiting"
        assert "could not be offered" in task["breakpoint"]["question"]
        assert "anna.txt" in hub.files(REPO, task["branch"])
