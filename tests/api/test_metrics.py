"""Figures at the doors: what a real house did, as JSON and as text that a monitor can read."""

from __future__ import annotations

import re

import httpx
import pytest

from engine.houses import shell, town
from engine.planned import plan, planning_town, says, task, wish
from house.patience import PATIENCE
from muster.api.app import make_app
from muster.api.metrics import exposition_text
from muster.domain.errors import Invalid
from muster.domain.figures import spread_of
from muster.domain.person import Person
from muster.service.figures import since_when
from muster.store.figures import DAY, Asked, Ended, Runs, Sure

GOOD = shell("echo x > new-$MUSTER_TASK.txt")
IDLE = shell("true")
SAMPLE = re.compile(
    r'[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\[\\n"])*"(,[a-z]+="(?:[^"\\\n]|\\[\\n"])*")*\})? -?[0-9.e+-]+'
)


async def test_a_house_tells_what_it_did(tmp_path):
    agents = {"good": GOOD, "idle": IDLE}
    async with town(tmp_path, agents, test_command="true", max_attempts=2) as place:
        await place.do("good", type="chore")
        await place.do("idle", type="bug")
        held = await place.do("good", type="chore", autonomy="confirm")
        await place.service.resolve_breakpoint(held["breakpoint_id"], "merge", by=Person("ada"))
        await place.until(held["id"], "completed")
        found = await place.service.metrics("repo", "all")
        agents = await place.service.agent_analytics(since="1h")
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(place.service, "0")), base_url="http://x",
            timeout=PATIENCE,
        ) as client:  # fmt: skip
            text = await client.get("/metrics")
            same = await client.get("/api/metrics", params={"project": "repo", "since": "all"})
            bad = await client.get("/api/metrics", params={"since": "yesterday"})
            gone = await client.get("/api/metrics", params={"project": "nowhere"})
            listed = await client.get("/api/agents/analytics")
            before = await client.get("/api/agents/analytics?since=all&until=1h&project=repo")
            never = await client.get("/api/agents/analytics?until=tomorrow")
    tasks = found["tasks"]
    assert (tasks["completed"], tasks["failed"], tasks["completion_rate"]) == (2, 1, 0.6667)
    assert tasks["by_agent"]["good"]["completion_rate"] == 1.0
    assert tasks["by_agent"]["idle"]["completion_rate"] == 0.0
    assert tasks["by_agent"]["idle"]["attempts_per_task"] == 2.0
    assert tasks["by_type"]["bug"]["failed"] == 1
    assert found["attempts"] == {"1": 2, "2": 1}
    assert found["stages"]["running"]["count"] == 4
    assert found["stages"]["queued"]["count"] == 4
    assert found["stages"]["waiting"]["count"] == 1
    assert found["questions"]["by_kind"]["merge"]["answers"] == {"merge": 1}
    assert found["questions"]["by_person"]["ada"]["count"] == 1
    assert found["cost"]["runs"] == 4
    assert sum(day["verdicts"] for day in found["confidence"]) == 4
    sure = found["reliability"]
    assert (sure["outcomes"], sure["brier"]) == (0, None)  # what was merged has not stayed yet
    assert {item["agent"]: item["completed"] for item in agents["items"]} == {"good": 2, "idle": 0}
    assert sum(run["runs"] for run in agents["runs"]) == 4
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = text.text.splitlines()
    end = '{project="repo",type="chore",agent="good",end="completed",kind="work"}'
    assert f"muster_tasks_ended_total{end} 2" in lines
    assert 'muster_stage_seconds_count{stage="running"} 4' in lines
    assert 'muster_tasks{stage="failed"} 1' in lines
    assert same.json()["tasks"] == tasks
    assert (bad.status_code, gone.status_code) == (422, 404)
    assert "24h" in bad.json()["hint"]
    assert listed.json()["items"]
    coders = {"succeeded": 2, "failed": 2, "cancelled": 0, "open": 0, "rate": 0.5}
    success = agents["success"]
    assert (success["by_role"], success["by_driver"]) == ({"coding": coders}, {"command": coders})
    assert [own["rate"] for own in success["by_type"].values()] == [0.0, 1.0]
    assert agents["agents"] == {"completed": 4}
    assert agents["tasks"] == {"completed": 2, "failed": 1}
    assert agents["cost"]["by_role"]["coding"]["runs"] == 4
    assert agents["retries"] == {"coding": {"tasks": 3, "retried": 1, "retries": 1}}
    assert agents["review_rounds"] == {"tasks": 0, "rounds": 0, "most": 0}
    assert agents["agent_seconds"]["count"] == agents["queue"]["waited"]["count"] == 4
    done = agents["task_seconds"]
    assert done["count"] == done["by_type"]["chore"]["count"] == 2
    assert 0 < done["p50_seconds"] <= done["p90_seconds"] == done["longest_seconds"]
    assert agents["queue"]["waiting"]["count"] == 0
    assert (before.json()["success"]["by_role"], before.json()["project"]) == ({}, "repo")
    assert never.status_code == 422


async def test_plans_and_written_tests_are_told_beside_the_work_and_spoil_no_rate(tmp_path):
    settings = {"autonomy": "full", "max_attempts": 1}
    async with planning_town(tmp_path, **settings) as (place, server, _):
        server.then(says(plan(task("a", files=["a.txt"]))))
        wished = await wish(place)
        await place.until(wished["id"], "completed")
        # Whoever is to write the tests writes none, so that their task fails.
        coder = await place.submit("other", "Another.", type="feature", acceptance=True)
        asked = await place.until(coder["id"], "waiting")
        writer = await place.service.get_task(asked["acceptance"]["task_id"])
        assert writer["status"] == "failed", writer["status"]
        found = await place.service.metrics("repo", "all")
        agents = await place.service.agent_analytics(since="all")
        text = exposition_text(await place.service.exposition_facts())
    tasks = found["tasks"]
    assert (tasks["completed"], tasks["failed"], tasks["completion_rate"]) == (1, 0, 1.0)
    assert tasks["attempts_per_task"] == 1.0
    assert (list(tasks["by_type"]), list(tasks["by_project"])) == (["chore"], ["repo"])
    assert found["attempts"] == {"1": 1}
    kinds = {name: (own["completed"], own["failed"]) for name, own in tasks["by_kind"].items()}
    assert kinds == {"work": (1, 0), "plan": (1, 0), "acceptance": (0, 1)}
    assert tasks["by_kind"]["plan"]["attempts_per_task"] is None
    assert "none" not in {item["agent"] for item in agents["items"]}
    (own,) = [item for item in agents["items"] if "acceptance" in item["by_kind"]]
    assert (own["by_kind"]["acceptance"]["failed"], own["failed"]) == (1, 0)
    assert 'agent="none",end="completed",kind="plan"} 1' in text
    assert 'kind="plan"' not in "".join(line for line in text.splitlines() if "attempts" in line)


def facts(**more):
    return {
        "version": "1", "started_at": 1.5, "rev": 9, "stages": {"queued": 2}, "paused": False,
        "live": 1, "open": {"merge": 1}, "rules": {'a "rule"\nof \\mine': 3},
        "ended": [Ended("p", "bug", "x", "completed", 2, 3, 8.0)],
        "runs": [Runs("claude", "completed", 2, 8.0, 0.5)], "spent": [],
        "asked": [Asked("merge", 1000, 3000, "merge", "you"), Asked("merge", 1, 2, "x", None)],
        "stays": {"queued": spread_of([1.0, 2.0])}, "confidence": [Sure(0, 4, 2, 0.5)], **more,
    }  # fmt: skip


def test_the_text_is_what_a_monitor_can_read():
    lines = exposition_text(facts()).splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert [line for line in samples if not SAMPLE.fullmatch(line)] == []
    assert 'muster_rules_held_total{rule="a \\"rule\\"\\nof \\\\mine"} 3' in samples
    assert 'muster_answer_seconds{kind="merge",quantile="0.5"} 2.0' in samples
    assert 'muster_answer_seconds_count{kind="merge"} 1' in samples
    assert "muster_confidence_mean 0.5" in samples
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families)), "each family once"
    for sample in samples:
        name = re.split(r"[ {]", sample)[0]
        assert re.sub(r"_(sum|count)$", "", name) in families, sample


def test_what_is_not_known_is_not_told():
    text = exposition_text(facts(confidence=[], asked=[], stays={}))
    assert "\nmuster_confidence_mean" not in text
    assert "quantile" not in text


NOW = 20_000 * DAY


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("all", 0),
        ("24h", NOW - DAY),
        ("7d", NOW - 7 * DAY),
        ("2w", NOW - 14 * DAY),
        ("99999d", 0),
        ("1970-01-02T00:00:00Z", DAY),
        ("1970-01-02", DAY),
    ],
)
def test_since_is_a_span_or_a_moment(text, when):
    assert since_when(text, NOW) == when


@pytest.mark.parametrize("text", ["", "0d", "7", "d", "7 days", "-7d", "9" * 40 + "d", "soon"])
def test_what_is_neither_is_refused(text):
    with pytest.raises(Invalid):
        since_when(text, NOW)
