"""A task of several repositories: a part in each, merged together or not at all."""

from __future__ import annotations

from typing import Any

from engine.crews import FILES, REPORTS, TESTS, crew, ran
from engine.houses import Town, commit, git, make_repo, town

BOTH = {
    **REPORTS["starter"],
    "repos": [{"repo": "repo", "what": "the server"}, {"repo": "web", "what": "the page"}],
}


async def two(tmp_path, place: Town, **body: Any) -> dict[str, Any]:
    """A second project beside the town's, and a task that may touch both."""
    path = make_repo(tmp_path / "web", FILES)
    await place.service.add_project({"path": str(path), "name": "web"})
    return await place.submit(None, "write it", playbook="crew", repos=["web"], **body)


async def test_each_repository_gets_its_part_and_all_are_merged_before_one_deployment(tmp_path):
    agents = crew(tmp_path, starter=BOTH)
    async with town(tmp_path, agents, FILES, test_command=TESTS, deploy_command="true") as place:
        made = await two(tmp_path, place)
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert [(w["project"], w["status"]) for w in task["workers"]] == [
            ("repo", "completed"),
            ("web", "completed"),
        ]
        twice = ["coding coder", "reviewer judge"] * 2
        once = ("starter coder", "deployer coder", "verifier judge")
        assert sorted(ran(tmp_path)) == sorted((*once, *twice))
        for part, repo in zip(task["workers"], (place.repo, tmp_path / "web"), strict=True):
            assert git(repo, "rev-parse", "main") == part["merged_commit"]
        assert task["crew"]["deployment"]["commit"] == task["workers"][0]["merged_commit"]


async def test_when_one_part_cannot_be_merged_none_is(tmp_path):
    agents = crew(tmp_path, starter=BOTH)
    async with town(
        tmp_path, agents, FILES, test_command=TESTS, autonomy="confirm", role_agents=None
    ) as place:
        made = await two(tmp_path, place)
        task = await place.until(made["id"], "waiting")
        assert task["reason"] == "all of its parts are approved"
        # Somebody has changed the same file in one of them meanwhile.
        ours, theirs = (w["label"] for w in task["workers"])
        before = place.main()
        commit(tmp_path / "web", {f"made-{theirs}-0.txt": "another\n"})
        await place.service.merge_task(task["id"])
        part = await place.until(theirs, "waiting")
        assert "conflicts with main" in part["reason"]
        while (other := await place.service.get_task(ours))["stage"] == "merging":
            await place.service.wait_change(place.service.current_rev(), 1)
        assert (other["stage"], place.main()) == ("handed_on", before)


async def test_a_part_that_fails_ends_the_task_and_its_other_parts(tmp_path):
    agents = crew(tmp_path, starter=BOTH)
    async with town(tmp_path, agents, FILES, test_command=TESTS, autonomy="confirm") as place:
        made = await two(tmp_path, place)
        task = await place.until(made["id"], "waiting")
        await place.service.cancel_task(task["workers"][0]["id"])
        task = await place.until(made["id"], "failed")
        assert task["reason"] == f"its part {task['workers'][0]['label']} was cancelled"
        assert {w["status"] for w in task["workers"]} == {"cancelled"}
