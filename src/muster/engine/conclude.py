"""The verdict on one attempt: what it left, what the evidence says, what happens next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from muster.domain.agent import Agent, Outcome
from muster.domain.confidence import Confidence
from muster.domain.task import Stage, Task
from muster.domain.verdict import Finding, Verdict, vetoed
from muster.engine import route
from muster.engine.acceptance import fitness
from muster.engine.assurance import sure_of
from muster.engine.casting import cast
from muster.engine.checks import LOST_ALLOWED
from muster.engine.closing import close_aside
from muster.engine.deciding import about, is_chosen, may_split, past_of, policy_of, verdict_of
from muster.engine.evidence import as_changes, evidence
from muster.engine.handed_in import result_of
from muster.engine.holding import Overseen, Work, overseen
from muster.engine.managed import examine_workers
from muster.engine.points import point_of, snapshot
from muster.engine.reporting import hand_on, judge
from muster.engine.review import review
from muster.engine.tools import Job, Tools, in_thread, job_and_agent, program_name
from muster.failpoint import failpoint
from muster.store import papers
from muster.store.base import Tx
from muster.store.checkpoints import after
from muster.store.moves import Fence, Move, move
from muster.store.reports import REPORTING
from muster.supervision.case import Case, Policy, tried_of
from muster.supervision.evidence import Changes
from muster.supervision.licences import judge_licences
from muster.supervision.reported import answered
from muster.supervision.reports import Report
from muster.supervision.scope import judge_scope
from muster.supervision.validate import promised, validate


async def conclude(tools: Tools, task: Task) -> Task:
    """Judge the work of an attempt whose agent has ended, and move the task by the decision."""
    await tools.turns.after_starts(task.rev)
    job, agent = await job_and_agent(tools, task)
    job = await cast(tools, job)
    if agent.outcome is Outcome.LOST and task.attempt < LOST_ALLOWED:
        return await _again(tools, task, agent)
    report = None
    if agent.role in REPORTING:
        work, findings, report = await _of_report(tools, job, agent)
    else:
        work, findings = await (_of_workers if task.manages else examine)(tools, job, agent)
    commit = work.commit
    if tools.wish(task.id).is_set():
        return await _cancelled(tools, task, agent, commit)
    past = await tools.store.read(past_of, task) if task.attempt > 1 else []
    sure = None if agent.role in REPORTING else await sure_of(tools, job, findings)
    case = _case(tools, job, agent, work, findings, past, sure)
    if agent.role in REPORTING and agent.outcome is not Outcome.HELD:
        seen = Overseen(case)  # rules hold work, and a person is asked about the merge
    else:
        seen = await overseen(tools, job, agent, case, work, past)
    verdict = verdict_of(tools, job, seen.case, agent.id)
    point = point_of(tools, agent, after(task.attempt), commit) if commit else None
    step = route.after_verdict(job, verdict, point, seen.rules, seen.events)
    # Who hears of it finds the branch. A merge shows it itself; hidden work is shown nowhere.
    if commit and not task.writes_tests and step.to not in {Stage.QUEUED, Stage.MERGING}:
        await show_branch(tools, job, commit)
    failpoint("verdict.before_move")
    if report is not None and step.to is Stage.HANDED_ON:
        moved = await hand_on(tools, job, step, agent, case.agent, report)
    else:
        moved = await tools.store.write(move, step)
    failpoint("verdict.moved")
    close_aside(tools, task, agent.id)
    return moved


async def examine(tools: Tools, job: Job, agent: Agent) -> tuple[Work, list[Finding]]:
    """Look at what an attempt left, and run its checks unless the look refuses it."""
    task = job.task
    base = str(task.base_commit)
    planned = await tools.store.read(_planned_files, task) if task.parent_id else ()
    work, findings = await in_thread(_look, tools, job, agent, base, planned)
    if task.writes_tests:
        fit = await fitness(tools, job, agent, work.commit, work.changed, findings)
        return work, fit
    if work.commit and task.result_commit and (task.feedback or {}).get("reviews"):
        spaces, ends = tools.workspaces, (work.commit, task.result_commit)
        was = await in_thread(lambda: [spaces.tree(job.repo, commit) for commit in ends])
        findings += answered(*was)
    if work.commit is None or vetoed(findings):
        return work, findings
    where = tools.run_dir(agent.id) / "checks"
    findings += await evidence(tools, job, agent, base, work.commit, work.changed, where)
    findings += await review(tools, job, base, work.commit, findings)
    return work, findings


async def _of_workers(tools: Tools, job: Job, agent: Agent) -> tuple[Work, list[Finding]]:
    result = await in_thread(result_of, tools, agent)
    summary = result if isinstance(result, dict) else None
    found = await examine_workers(tools, job.task, agent, summary)
    return Work(None, (), _claims(agent, result)), found


async def _of_report(
    tools: Tools, job: Job, agent: Agent
) -> tuple[Work, list[Finding], Report | None]:
    """What a role reported; what it changed is thrown away, and no work of the task's."""
    result = await in_thread(result_of, tools, agent)
    report, found = await in_thread(judge, tools, job, agent, result)
    return Work(None, (), _claims(agent, result)), found, report


def _planned_files(tx: Tx, task: Task) -> tuple[str, ...]:
    """The files that whoever planned the task thought likely."""
    paper = papers.paper_of(tx, task.id, papers.PLAN) or {}
    return tuple(map(str, paper.get("files", ())))


def _look(
    tools: Tools, job: Job, agent: Agent, base: str, planned: tuple[str, ...]
) -> tuple[Work, list[Finding]]:
    """What the agent left, and what can be said of it without a run."""
    taken = snapshot(tools, job, agent, base)
    result = result_of(tools, agent)
    changed: Changes = ()
    added: Mapping[str, str] = {}
    files = None
    if taken.commit:
        changed = as_changes(tools.workspaces.changes(job.repo, base, taken.commit))
        added = tools.workspaces.added_lines(job.repo, base, taken.commit)
        if promised(result):
            files = frozenset(tools.workspaces.paths(job.repo, taken.commit))
    findings = validate(
        agent.outcome or Outcome.FAILED,
        agent.reason,
        changed,
        taken.nested,
        result,
        job.task,
        added=added,
        test_paths=job.settings.test_paths,
        files=files,
    )
    tests = job.settings.test_paths
    further = (
        *judge_licences(changed, added, partial(_stands_in, tools, job.repo, base)),
        *judge_scope(job.task.type, changed, planned, tests),
    )
    return Work(taken.commit, changed, _claims(agent, result)), [*findings, *further]


def _stands_in(tools: Tools, repo: str, commit: str, words: str) -> bool:
    return bool(tools.workspaces.grep(repo, commit, words, "", 1).hits)


def _claims(agent: Agent, result: object) -> str:
    """What the agent itself says of its work, at its end."""
    told = str(result.get("output", "")) if isinstance(result, dict) else ""
    return "\n".join(filter(None, (agent.reason, agent.last_line, told)))


def _case(
    tools: Tools,
    job: Job,
    agent: Agent,
    work: Work,
    found: list[Finding],
    past: Sequence[Verdict],
    sure: Confidence | None,
) -> Case:
    task = job.task
    retry_at = (task.feedback or {}).get("ending", {}).get("retry_at")
    return Case(
        findings=tuple(found),
        policy=_policy(tools, job, agent),
        outcome=agent.outcome or Outcome.FAILED,
        tries=task.tries,
        about=about(task),
        unspent=task.attempt - task.tries,
        retry_at=int(retry_at * 1000) if retry_at else None,
        now=int(tools.clock() * 1000),
        label=task.label,
        branch=job.project.branch,
        agent=program_name(tools, job),
        agent_is_chosen=is_chosen(task, past),
        may_split=may_split(task),
        base=task.base_commit,
        commit=work.commit,
        sure=sure,
        past=tuple(tried for each in past if (tried := tried_of(each)) is not None),
    )


def _policy(tools: Tools, job: Job, agent: Agent) -> Policy:
    """Nobody takes over from who judges: it might be who wrote what is judged."""
    policy = policy_of(tools, job)
    return replace(policy, fallback_agents=()) if agent.role in REPORTING else policy


async def _again(tools: Tools, task: Task, agent: Agent) -> Task:
    """A lost agent proves nothing about the task: its try does not count."""
    close_aside(tools, task, agent.id)
    return await tools.store.write(
        move,
        Move(
            Fence.of(task),
            Stage.QUEUED,
            "its agent was killed together with its supervisor; trying again",
            columns={"tries": max(0, task.tries - 1)},
        ),
    )


async def _cancelled(tools: Tools, task: Task, agent: Agent, commit: str | None) -> Task:
    moved = await tools.store.write(
        move,
        Move(
            Fence.of(task),
            Stage.CANCELLED,
            "cancelled by a person",
            columns={} if agent.role in REPORTING else {"result_commit": commit},
        ),
    )
    close_aside(tools, task, agent.id)
    return moved


async def show_branch(tools: Tools, job: Job, commit: str) -> None:
    """Put the work's branch into the user's repository, where their own tools can see it."""
    await in_thread(
        tools.workspaces.publish, job.repo, Path(job.project.git_dir), job.task.branch, commit
    )
