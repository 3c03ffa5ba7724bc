"""A decision with all that it depends on: the policy, the attempts before, the verdict on it."""

from __future__ import annotations

from collections.abc import Sequence

from muster.domain.agent import Outcome
from muster.domain.ids import new_id
from muster.domain.task import Task
from muster.domain.verdict import Finding, Step, Verdict
from muster.engine.tools import Job, Tools, program_name
from muster.store import judgements
from muster.store.base import Tx
from muster.supervision.case import About, Case, Policy, case_json
from muster.supervision.decision import decide


def past_of(tx: Tx, task: Task) -> list[Verdict]:
    """The verdicts before this one since a person last said try again, as far as they count."""
    counted_ones = [v for v in judgements.verdicts_of(tx, task.id) if v.decision.counts]
    return counted_ones[len(counted_ones) - (task.tries - 1) :] if task.tries > 1 else []


def about(task: Task) -> About:
    """What is decided about when an attempt of the task has ended."""
    if task.manages:
        return About.WORKERS
    if task.step:
        return About.STEP
    return About.TESTS if task.writes_tests else About.WORK


def is_chosen(task: Task, past: Sequence[Verdict]) -> bool:
    """Whether a person said which agent does the task."""
    by_muster = any(verdict.decision.step is Step.OTHER_AGENT for verdict in past)
    return task.agent is not None and not by_muster


def may_split(task: Task) -> bool:
    """Whether a task can be planned again as several: one agent's, and no part of another's.

    So parts are not split further. One with acceptance tests is judged by them as a whole.
    """
    is_part = task.parent_id is not None
    return about(task) is About.WORK and not is_part and task.acceptance_id is None


def policy_of(tools: Tools, job: Job) -> Policy:
    """What the task's settings say about deciding; agents that there are not are left out."""
    own = job.settings
    known = {*tools.agent_names(), *job.agents}
    return Policy(
        autonomy=job.autonomy,
        max_attempts=own.max_attempts,
        fallback_agents=tuple(name for name in own.fallback_agents or () if name in known),
        fallback_after=own.fallback_after,
        roll_back=own.roll_back,
        split_after=own.split_after,
        accept_at=own.accept_at,
    )


def refused_at_merge(tools: Tools, job: Job, found: tuple[Finding, ...]) -> Verdict:
    """The verdict on work that passed alone, and not merged onto the branch as it is."""
    task = job.task
    case = Case(
        findings=found,
        policy=policy_of(tools, job),
        outcome=Outcome.COMPLETED,
        tries=task.tries,
        about=About.MERGE,
        label=task.label,
        branch=job.project.branch,
        agent=program_name(tools, job),
        base=task.base_commit,
        commit=task.result_commit,
    )
    return verdict_of(tools, job, case, None)


def verdict_of(tools: Tools, job: Job, case: Case, agent_id: str | None) -> Verdict:
    """The verdict on a case, with the case itself."""
    return Verdict(
        id=new_id("vdt"),
        task_id=job.task.id,
        attempt=job.task.attempt,
        agent_id=agent_id,
        findings=case.findings,
        decision=decide(case),
        confidence=case.sure.value if case.sure else None,
        created_at=int(tools.clock() * 1000),
        case=case_json(case),
        sure=case.sure,
    )
