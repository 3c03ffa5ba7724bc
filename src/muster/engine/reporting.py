"""The end of a role that reports: its report is judged, kept, told as the event that follows."""

from __future__ import annotations

from muster.domain.agent import Agent, Outcome
from muster.domain.errors import Invalid
from muster.domain.task import Task
from muster.domain.verdict import Finding
from muster.engine.handed_in import report_from
from muster.engine.tools import Job, Tools
from muster.failpoint import failpoint
from muster.store.moves import Move
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


async def hand_on(tools: Tools, step: Move, agent: Agent, player: str, report: Report) -> Task:
    """Move the task with what its role reported, all in one transaction."""
    said = Said(agent.role, agent.id, player, report.as_json())
    moved = await tools.store.write(reported, step, said)
    failpoint("report.told")
    return moved
