"""The crew: events lead a task through its roles, each once, to its end."""

from __future__ import annotations

import pytest

from engine.crews import BROKEN, CHANGES, FILES, ISSUES, TESTS, crew, ran
from engine.houses import town
from muster.domain.errors import Invalid

STORY = (
    "task.assigned",
    *("task.plan.created", "pr.created", "pr.changes.requested", "pr.updated", "pr.approved"),
    *("pr.merged", "deploy.completed", "verify.passed"),
)


async def story(place, ref: str) -> list[str]:
    found = await place.service.list_events(None, 1000, task=ref)
    return [
        e["type"]
        for e in found["items"]
        if e["type"] in STORY or e["type"].startswith(("verify", "audit", "event."))
    ]


async def test_a_task_walks_from_its_assignment_to_its_verification(tmp_path):
    agents = crew(tmp_path, reviewer_1=CHANGES)
    async with town(tmp_path, agents, FILES, test_command=TESTS, deploy_command="true") as place:
        made = await place.submit(None, "write it", playbook="crew")
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert await story(place, made["id"]) == list(STORY)
        assert ran(tmp_path) == [
            *("starter coder", "coding coder", "reviewer judge", "coding coder", "reviewer judge"),
            *("deployer coder", "verifier judge"),
        ]
        assert task["merged_commit"] == place.main()


async def test_a_verification_that_fails_makes_a_bug_that_names_its_cause(tmp_path):
    agents = crew(tmp_path, verifier_1=BROKEN)
    async with town(tmp_path, agents, FILES, test_command=TESTS, deploy_command="true") as place:
        made = await place.submit(None, "write it", playbook="crew")
        task = await place.until(made["id"])
        assert task["status"] == "failed"
        found = (await place.service.list_tasks())["items"]
        bug = next(t for t in found if t["id"] != made["id"])
        assert (bug["type"], bug["cause_id"]) == ("bug", made["id"])
        assert [c["label"] for c in task["crew"]["caused"]] == [bug["label"]]
        bug = await place.until(bug["id"])
        assert bug["status"] == "completed", bug["reason"]


async def test_what_an_audit_finds_is_proposed(tmp_path):
    asks = {"decision": "audit", "analysis": "Odd.", "audit_about": "the totals"}
    agents = crew(tmp_path, starter=asks, auditor=ISSUES)
    async with town(tmp_path, agents, FILES, test_command=TESTS) as place:
        made = await place.submit(None, "look at it", playbook="crew")
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        found = [t for t in (await place.service.list_tasks())["items"] if t["id"] != made["id"]]
        assert sorted(t["title"] for t in found) == ["Issue 1", "Issue 2"]
        assert {t["status"] for t in found} == {"proposed"}
        assert ran(tmp_path) == ["starter coder", "auditor coder"]


async def test_changes_without_end_ask_a_person_with_the_history(tmp_path):
    agents = crew(tmp_path, reviewer=CHANGES)
    async with town(tmp_path, agents, FILES, test_command=TESTS) as place:
        made = await place.submit(None, "write it", playbook="crew")
        task = await place.until(made["id"])
        assert task["status"] == "waiting"
        asked = (await place.service.list_breakpoints())["items"][0]
        kinds = [one["type"] for one in asked["evidence"]["history"]]
        assert kinds.count("pr.changes.requested") == 4
        assert "merge" in asked["options"]
        await place.service.resolve_breakpoint(asked["id"], "merge")
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]


async def test_reviewers_that_disagree_are_put_to_a_person(tmp_path):
    agents = crew(tmp_path, reviewer_1=CHANGES)
    books = tmp_path / "home" / "playbooks"
    async with town(
        tmp_path, agents, FILES, test_command=TESTS, role_agents="reviewer=judge"
    ) as place:
        books.mkdir()
        (books / "two.yaml").write_text(TWO)
        made = await place.submit(None, "write it", playbook="two")
        task = await place.until(made["id"])
        assert (task["status"], task["reason"]) == ("waiting", "its reviewers disagree")


async def test_a_reviewer_that_says_nothing_is_tried_again_and_then_put_to_a_person(tmp_path):
    agents = crew(tmp_path, reviewer=None)
    async with town(
        tmp_path, agents, FILES, test_command=TESTS, autonomy="confirm", max_attempts=2
    ) as place:
        made = await place.submit(None, "write it", playbook="crew")
        task = await place.until(made["id"])
        assert task["status"] == "waiting"
        assert "handed in no report" in task["reason"]
        assert ran(tmp_path).count("reviewer judge") == 2


TWO = """
on:
  task.assigned: coding
  pr.created: reviewer
  pr.updated: reviewer
  pr.reviewed: reviewer
  pr.changes.requested: coding
  pr.approved: merge
  pr.merged: complete
limits: {pr.changes.requested: 2}
reviewers: 2
"""


async def test_each_role_is_told_what_those_before_it_have_left(tmp_path):
    agents = crew(tmp_path, reviewer_1=CHANGES)
    async with town(
        tmp_path, agents, FILES, test_command=TESTS, deploy_command="./ship", verify_command="./ask"
    ) as place:
        made = await place.submit(None, "write it well", playbook="crew")
        task = await place.until(made["id"])
        told = {
            f"{a['role']} {a['attempt']}": (place.run_dir(a["id"]) / "brief.md").read_text()
            for a in task["agents"]
        }
        assert len(told) == 7
        assert all("write it well" in words for words in told.values())
        assert "Write it with a test" in told["coding 2"]  # the starter's plan
        assert "made-MU-1-0.txt" in told["reviewer 3"]  # the change
        assert "Say why." in told["coding 4"]  # the reviewer's remark
        assert "./ship" in told["deployer 6"]
        assert task["merged_commit"] in told["deployer 6"]
        assert "./ask" in told["verifier 7"]


async def test_a_fix_up_that_changes_nothing_is_refused_and_told_once_more_what_is_wanted(tmp_path):
    agents = crew(tmp_path, reviewer_1=CHANGES)
    (tmp_path / "says" / "nothing-2").touch()
    async with town(tmp_path, agents, FILES, test_command=TESTS) as place:
        made = await place.submit(None, "write it", playbook="crew")
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        refused = next(v for v in task["verdicts"] if v["attempt"] == 4)
        assert "review.unanswered" in [f["code"] for f in refused["findings"]]
        third = next(a for a in task["agents"] if a["attempt"] == 5)
        told = (place.run_dir(third["id"]) / "brief.md").read_text()
        assert "Say why." in told
        assert "nothing was changed" in told


async def test_an_order_from_outside_makes_the_task_that_it_wants(tmp_path):
    agents = crew(tmp_path, auditor=ISSUES)
    async with town(tmp_path, agents, FILES, test_command=TESTS, deploy_command="true") as place:
        project = (await place.service.list_projects())["items"][0]["id"]

        async def order(kind: str, **payload: str) -> dict:
            body = {"type": kind, "project_id": project, "payload": payload}
            known = {t["id"] for t in (await place.service.list_tasks())["items"]}
            await place.service.emit_event(body)
            while True:
                seen = place.service.current_rev()
                for task in (await place.service.list_tasks())["items"]:
                    if task["id"] not in known:
                        return await place.until(task["id"])
                await place.service.wait_change(seen, 5)

        assert (await order("task.assigned", description="write it"))["status"] == "completed"
        deployed = await order("deploy.requested")
        assert deployed["status"] == "completed", deployed["reason"]
        assert deployed["crew"]["deployment"]["commit"] == place.main()
        assert (await order("audit.requested", about="the totals"))["status"] == "completed"


async def test_what_somebody_says_counts_only_where_the_task_may_end_its_step_with_it(tmp_path):
    agents = crew(tmp_path, reviewer=None)
    async with town(tmp_path, agents, FILES, test_command=TESTS, autonomy="confirm") as place:
        books = tmp_path / "home" / "playbooks"
        books.mkdir()
        (books / "slow.yaml").write_text(SLOW)
        made = await place.submit(None, "write it", playbook="slow")
        task = await place.until_offered(made["id"])

        async def say(kind: str) -> dict:
            await place.service.emit_event({"type": kind, "task": made["id"], "payload": {}})
            while True:
                seen = place.service.current_rev()
                task = await place.service.get_task(made["id"])
                if task["crew"]["events"][-1]["type"] == kind:
                    return task
                await place.service.wait_change(seen, 5)

        task = await say("verify.passed")
        assert (task["stage"], task["crew"]["events"][-1]["state"]) == ("handed_on", "refused")
        with pytest.raises(Invalid, match="only muster itself says"):
            await say("pr.merged")
        assert (await say("ci.finished"))["crew"]["events"][-1]["led_to"] == "a person says merge"


async def test_a_playbook_with_a_fault_is_refused_with_its_line(tmp_path):
    async with town(tmp_path, crew(tmp_path), FILES, test_command=TESTS) as place:
        books = tmp_path / "home" / "playbooks"
        books.mkdir()
        (books / "odd.yaml").write_text("on:\n  task.assigned: wizard\n")
        with pytest.raises(Invalid, match=r"odd\.yaml, line 2: 'wizard' is no role") as refused:
            await place.submit(None, "write it", playbook="odd")
        assert "starter" in refused.value.hint


SLOW = """
on: {task.assigned: coding, pr.changes.requested: coding, ci.finished: merge, pr.merged: complete}
waits_for: [pr.created, pr.updated, ci.finished]
limits: {pr.changes.requested: 1}
"""


async def test_a_repositorys_own_playbook_counts_once_its_settings_are_trusted(tmp_path):
    files = {**FILES, ".muster/playbooks/mine.yaml": SLOW}
    async with town(tmp_path, crew(tmp_path), files, test_command=TESTS) as place:
        with pytest.raises(Invalid, match="there is no playbook 'mine'"):
            await place.submit(None, "write it", playbook="mine")
        await place.service.add_project({"path": str(place.repo), "trust": True})
        made = await place.submit(None, "write it", playbook="mine")
        assert (await place.until_offered(made["id"]))["playbook"] == "mine"


async def test_the_crew_is_the_usual_playbook_where_the_server_says_so(tmp_path):
    agents, on = crew(tmp_path), {"multi_agent_events": True}
    async with town(tmp_path, agents, FILES, server=on, test_command=TESTS) as place:
        made = await place.submit(None, "write it")
        await place.until(made["id"])
        found = await place.service.list_events(None, 100, task=made["id"])
        assert [e["type"] for e in found["items"] if e["type"] == "task.assigned"]
        solo = await place.do(None, "write it too", playbook="solo")
        assert (solo["status"], solo["crew"]) == ("completed", None)


async def test_bugs_of_bugs_end_with_a_question(tmp_path):
    agents = crew(tmp_path, verifier=BROKEN)
    async with town(tmp_path, agents, FILES, test_command=TESTS, deploy_command="true") as place:
        book = tmp_path / "home" / "playbooks"
        book.mkdir()
        (book / "once.yaml").write_text(ONCE)
        made = await place.submit(None, "write it", playbook="once")
        first = await place.until(made["id"])
        (bug,) = first["crew"]["caused"]
        task = await place.until(bug["id"])
        assert (first["status"], task["status"]) == ("failed", "waiting")
        assert "2. in a row" in task["reason"]
        assert task["crew"]["caused"] == []


ONCE = """
on: {task.assigned: coding, pr.created: merge, pr.updated: merge, pr.merged: deployer,
     deploy.completed: verifier, deploy.failed: ask, verify.passed: complete, verify.failed: bug}
limits: {verify.failed: 1}
"""
