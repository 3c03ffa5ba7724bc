"""The end of a role that reports: its report is judged, kept, told as the event that follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.domain.agent import Agent, Outcome, Role
from muster.domain.errors import Invalid
from muster.domain.task import Task
from muster.domain.verdict import Finding
from muster.engine.forge_side import side_of
from muster.engine.handed_in import report_from
from muster.engine.tools import Job, Tools
from muster.failpoint import failpoint
from muster.forge.base import LineComment, NewReview, Opinion
from muster.store.moves import Move
from muster.store.pulls import pull_of
from muster.store.reports import Said, reported
from muster.supervision.reported import judge_report
from muster.supervision.reports import Report


def judge(
    tools: Tools, job: Job, agent: Agent, result: object
) -> tuple[Report | None, list[Finding]]:
    """What is found about the step of a role that has ended."""
    handed: Report | Invalid
    try:
        handed = report_from(tools, agent)
    except Invalid as fault:
        handed = fault
    ending = agent.outcome or Outcome.FAILED, agent.reason
    commit = job.task.merged_commit or job.task.base_commit
    return judge_report(agent.role, ending, result, handed, commit)


async def hand_on(
    tools: Tools, job: Job, step: Move, agent: Agent, player: str, report: Report
) -> Task:
    """Move the task with what its role reported, all in one transaction.

    A review is given at the forge first, where its key says it once.
    """
    if agent.role is Role.REVIEWER:
        await _give_review(tools, job, agent, report.as_json())
        failpoint("report.reviewed")
    said = Said(agent.role, agent.id, player, report.as_json())
    moved = await tools.store.write(reported, step, said)
    failpoint("report.told")
    return moved


async def _give_review(tools: Tools, job: Job, agent: Agent, report: Mapping[str, Any]) -> None:
    side = await side_of(tools, job)
    row = await tools.store.read(pull_of, job.task.id) if side else None
    if side is None or row is None:
        return
    comments = tuple(
        LineComment(c["path"], c["line"], f"{c['severity']}: {c['text']}")
        for c in report["comments"]
    )
    opinion = Opinion(report["verdict"])
    review = NewReview(agent.id, row.head, opinion, report["summary"], comments)
    await side.forge.give_review(side.repo, row.number, review)
