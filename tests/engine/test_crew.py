"""The crew: events lead a task through its roles, each once, to its end."""

from __future__ import annotations

from engine.crews import BROKEN, CHANGES, ISSUES, crew, ran
from engine.houses import git, town

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
    async with town(tmp_path, agents, deploy_command="true") as place:
        made = await place.submit(None, "write it", playbook="crew")
        task = await place.until(made["id"])
        print(task["reason"], ran(tmp_path))
        assert task["status"] == "completed", task["reason"]
        assert await story(place, made["id"]) == list(STORY)
        assert ran(tmp_path) == [
            *("starter coder", "coding coder", "reviewer judge", "coding coder", "reviewer judge"),
            *("deployer coder", "verifier judge"),
        ]
        assert task["merged_commit"] == place.main()
