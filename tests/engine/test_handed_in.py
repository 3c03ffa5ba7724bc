"""The report that a role owes: taken from the mailbox or the file, or refused with the reason."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from engine.houses import Town, shell, town, waiting_for
from house.patience import PATIENCE
from muster.domain.agent import Agent, Role
from muster.domain.errors import Invalid
from muster.domain.ids import token_of
from muster.engine.handed_in import report_from
from muster.engine.mailbox import Mailbox
from muster.engine.post import delivered
from muster.store.agents import get_agent
from muster.store.tasks import get_task
from muster.supervision.reports import ReviewReport, example_of

GOOD = {"verdict": "approve", "summary": "Fine."}
WRONG = {"verdict": "fine"}


async def at_work(place: Town, ref: str) -> str:
    """The id of a task's agent as soon as its program runs."""
    async with asyncio.timeout(PATIENCE):
        while True:
            seen = place.service.current_rev()
            found = (await place.service.get_task(ref))["agents"]
            if found and found[-1]["status"] == "running":
                return str(found[-1]["id"])
            await place.service.wait_change(seen, 5)


async def test_a_report_by_files_is_read_or_refused_with_its_faults(tmp_path):
    go = tmp_path / "go"
    agents = {"holds": shell(f"{waiting_for(go)} echo x > made.txt")}
    async with town(tmp_path, agents, test_command="true") as place:
        made = await place.submit("holds", type="chore")
        seen = await at_work(place, made["id"])
        tools = place.house.tools
        task = await tools.store.read(get_task, made["id"])
        reviewer = replace(await tools.store.read(get_agent, seen), role=Role.REVIEWER)
        box = Mailbox(tmp_path / "box", task.label)
        box.furnish("Review it.")
        left = tools.run_dir(seen) / "agent" / "result.json"

        async def puts(**said: Any) -> Agent:
            """What is kept of the agent once this was put into its mailbox."""
            async with delivered(tools, task, reviewer, box):
                box.deliver("results", task.label, said)
            return replace(await tools.store.read(get_agent, seen), role=Role.REVIEWER)

        def refused(agent: Agent) -> str:
            with pytest.raises(Invalid) as no:
                report_from(tools, agent)
            return no.value.detail

        kept = await puts(status="completed", output="read it", data=WRONG)
        assert kept.result is None
        assert "the reviewer handed in no report" in refused(kept)
        rejected = box.folder / "rejected" / f"results-{task.label}.json"
        assert json.loads(rejected.read_text())["data"] == WRONG
        told = rejected.with_suffix(".json.txt").read_text()
        assert "'verdict' is 'fine'; wanted: one of approve, request_changes" in told
        assert json.dumps(example_of(Role.REVIEWER)) in told
        rejected.unlink()
        rejected.with_suffix(".json.txt").unlink()

        # Who could not do it owes no report.
        kept = await puts(status="blocked", output="the diff is empty")
        assert kept.result == {"status": "blocked", "summary": "the diff is empty", "data": {}}
        kept = await puts(status="completed", output="read it", data=GOOD)
        assert kept.result is not None
        assert kept.result["data"] == {**GOOD, "comments": []}
        assert report_from(tools, kept) == ReviewReport("approve", "Fine.")

        # A file at the end counts before it, where it holds a report that can be taken.
        left.write_text(json.dumps({"status": "completed", "data": {"verdict": "approve"}}))
        assert report_from(tools, kept) == ReviewReport("approve")
        left.write_text(json.dumps({"status": "completed", "data": WRONG}))
        assert report_from(tools, kept) == ReviewReport("approve", "Fine.")
        assert "'verdict' is 'fine'" in refused(replace(kept, result=None))
        deep: Any = []
        for _ in range(50):
            deep = [deep]
        left.write_text(json.dumps({"data": {"verdict": deep}}))
        assert "nested" in refused(replace(kept, result=None))
        token = token_of(tools.key, seen)
        said = {"verdict": "approve", "summary": f"{token} is used"}
        left.write_text(json.dumps({"data": said}))
        report = report_from(tools, kept)
        assert isinstance(report, ReviewReport)
        assert "is used" in report.summary
        assert token not in report.summary
        left.unlink()
        go.touch()
        assert (await place.until(made["id"]))["status"] == "completed"
