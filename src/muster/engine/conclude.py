"""The verdict on one attempt: what it left, what the evidence says, what happens next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.domain.agent import Agent, Outcome
from muster.domain.ids import new_id
from muster.domain.task import Stage, Task
from muster.domain.verdict import Finding, Severity, Verdict
from muster.engine import route
from muster.engine.assurance import assured
from muster.engine.checks import LOST_ALLOWED
from muster.engine.closing import close_aside
from muster.engine.evidence import as_changes, evidence
from muster.engine.foreign import read_small
from muster.engine.holding import Work, overseen
from muster.engine.managed import examine_workers
from muster.engine.points import point_of, snapshot
from muster.engine.tools import Job, Tools, in_thread, job_and_agent
from muster.store.moves import Fence, Move, move
from muster.supervision.decide import Ended, decide
from muster.supervision.evidence import Changes
from muster.supervision.validate import promised, validate
from muster.supervision.workers import decide_managed
from muster.workspace.workspaces import Taken

_LARGEST_RESULT = 1_000_000


async def conclude(tools: Tools, task: Task) -> Task:
    """Judge the work of an attempt whose agent has ended, and move the task by the decision."""
    await tools.turns.after_starts(task.rev)
    job, agent = await job_and_agent(tools, task)
    if agent.outcome is Outcome.LOST and task.attempt < LOST_ALLOWED:
        return await _again(tools, task, agent)
    result = _result(tools, agent)
    if task.manages:
        work = Examined(None, (), await examine_workers(tools, task, agent, result))
    else:
        work = await examine(tools, job, agent)
    commit = work.commit
    if tools.wish(task.id).is_set():
        return await _cancelled(tools, task, agent, commit)
    verdict = await assured(tools, job, _verdict(tools, job, agent, work.findings))
    left = Work(commit, work.changed, _claims(agent, result))
    seen = await overseen(tools, job, agent, verdict, left)
    point = point_of(tools, agent, f"attempt {task.attempt}", commit) if commit else None
    step = route.after_verdict(job, seen.verdict, point, seen.rules, seen.events)
    moved = await tools.store.write(move, step)
    # A merge shows the work's branch along with it.
    if commit and moved.stage not in {Stage.QUEUED, Stage.MERGING}:
        await show_branch(tools, job, commit)
    close_aside(tools, task, agent.id)
    return moved


@dataclass(frozen=True, slots=True)
class Examined:
    """An attempt's work as one commit on its base, what it changes, and every finding about it."""

    commit: str | None
    changed: Changes
    findings: list[Finding]


async def examine(tools: Tools, job: Job, agent: Agent) -> Examined:
    """Look at what an attempt left, and run its checks unless the look refuses it."""
    task = job.task
    base = str(task.base_commit)
    commit, changed, found = await in_thread(_look, tools, job, agent, base)
    findings = list(found)
    if commit is None or any(f.severity is Severity.VETO for f in findings):
        return Examined(commit, changed, findings)
    where = tools.run_dir(agent.id) / "checks"
    findings += await evidence(tools, job, base, commit, changed, where)
    return Examined(commit, changed, findings)


def _look(
    tools: Tools, job: Job, agent: Agent, base: str
) -> tuple[str | None, Changes, tuple[Finding, ...]]:
    """What the agent left: its commit, what that changes, and what can be said without a run."""
    taken = snapshot(tools, job, agent, base)
    changed: Changes = ()
    if taken.commit:
        changed = as_changes(tools.workspaces.changes(job.repo, base, taken.commit))
    return taken.commit, changed, _first_look(tools, job, agent, taken, base, changed)


def _first_look(
    tools: Tools,
    job: Job,
    agent: Agent,
    taken: Taken,
    base: str,
    changed: Changes,
) -> tuple[Finding, ...]:
    added = tools.workspaces.added_lines(job.repo, base, taken.commit) if taken.commit else {}
    result = _result(tools, agent)
    files = None
    if taken.commit and promised(result):
        files = frozenset(tools.workspaces.paths(job.repo, taken.commit))
    return validate(
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


def _result(tools: Tools, agent: Agent) -> Mapping[str, Any] | None:
    return _result_file(tools.run_dir(agent.id) / "agent" / "result.json") or _handed_in(agent)


def _result_file(path: Path) -> Mapping[str, Any] | None:
    """What the agent left at MUSTER_RESULT, when it is a small JSON object."""
    data = read_small(path, _LARGEST_RESULT)
    if data is None:
        return None
    try:
        document = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _handed_in(agent: Agent) -> Mapping[str, Any] | None:
    """What the agent said of its outcome by its tools or its mailbox, as a result file says it."""
    said = agent.result
    if said is None:
        return None
    return {"status": said["status"], "output": said["summary"], "data": said.get("data")}


def _claims(agent: Agent, result: Mapping[str, Any] | None) -> str:
    """What the agent itself says of its work, at its end."""
    told = str(result.get("output", "")) if result else ""
    return "\n".join(filter(None, (agent.reason, agent.last_line, told)))


def _verdict(tools: Tools, job: Job, agent: Agent, findings: list[Finding]) -> Verdict:
    task = job.task
    retry_at = (task.feedback or {}).get("ending", {}).get("retry_at")
    rule = decide_managed if task.manages else decide
    ended = Ended(
        outcome=agent.outcome or Outcome.FAILED,
        autonomy=job.autonomy,
        tries=task.tries,
        max_attempts=job.settings.max_attempts,
        retry_at=int(retry_at * 1000) if retry_at else None,
        now=int(tools.clock() * 1000),
        label=task.label,
        unspent=task.attempt - task.tries,
    )
    return Verdict(
        id=new_id("vdt"),
        task_id=task.id,
        attempt=task.attempt,
        agent_id=agent.id,
        findings=tuple(findings),
        decision=rule(findings, ended),
        confidence=None,
        created_at=int(tools.clock() * 1000),
    )


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
            columns={"result_commit": commit},
        ),
    )
    close_aside(tools, task, agent.id)
    return moved


async def show_branch(tools: Tools, job: Job, commit: str) -> None:
    """Put the work's branch into the user's repository, where their own tools can see it."""
    await in_thread(
        tools.workspaces.publish, job.repo, Path(job.project.git_dir), job.task.branch, commit
    )
