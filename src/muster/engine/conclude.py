"""The verdict on one attempt: what it left, what the evidence says, what happens next."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from muster.domain.agent import Agent, Outcome
from muster.domain.errors import NotFound
from muster.domain.ids import new_id
from muster.domain.task import Stage, Task
from muster.domain.verdict import Finding, Severity, Verdict
from muster.engine import route
from muster.engine.checks import LOST_ALLOWED, Command, run_cached, run_fresh
from muster.engine.closing import close_aside
from muster.engine.foreign import read_small
from muster.engine.setup import ensure_layer
from muster.engine.tools import Job, Tools, in_thread, job_of
from muster.store import agents as agent_verbs
from muster.store.moves import Fence, Move, move
from muster.supervision.checks import CheckPlan, CheckRun, plan_checks
from muster.supervision.decide import decide
from muster.supervision.evidence import (
    BASE,
    RESULT,
    Changed,
    Changes,
    CheckResult,
)
from muster.supervision.quality import judge
from muster.supervision.runner_config import Contents, changed_configs
from muster.supervision.validate import validate
from muster.workspace.base import Workspace
from muster.workspace.workspaces import Change, Taken

DROPPINGS = (".aider*",)
"""What agent programs leave of their own in a workspace; it is not their work."""
_LARGEST_RESULT = 1_000_000


async def conclude(tools: Tools, task: Task) -> Task:
    """Judge the work of an attempt whose agent has ended, and move the task by the decision."""
    job = await job_of(tools, task)
    agent = await tools.store.read(agent_verbs.agent_of_attempt, task.id, task.attempt)
    if agent is None:
        raise RuntimeError(f"attempt {task.attempt} of {task.label} has no agent")
    if agent.outcome is Outcome.LOST and task.attempt < LOST_ALLOWED:
        return await _again(tools, task, agent)
    commit, findings = await examine(tools, job, agent)
    if tools.wish(task.id).is_set():
        return await _cancelled(tools, task, agent, commit)
    verdict = _verdict(tools, job, agent, findings)
    moved = await tools.store.write(move, route.after_verdict(job, verdict, commit))
    # A merge shows the work's branch along with it.
    if commit and moved.stage not in {Stage.QUEUED, Stage.MERGING}:
        await show_branch(tools, job, commit)
    close_aside(tools, task, agent.id)
    return moved


async def examine(tools: Tools, job: Job, agent: Agent) -> tuple[str | None, list[Finding]]:
    """The attempt's work as one commit on its base, and every finding about it."""
    task = job.task
    base = str(task.base_commit)
    workspace = await in_thread(tools.workspaces.reopen, agent.id)
    taken = await in_thread(_snapshot, tools, job, agent, workspace, base)
    commit = taken.commit
    changed = await in_thread(_changes, tools, job, base, commit)
    findings = list(await in_thread(_first_look, tools, job, agent, taken, base, changed))
    if commit is None or any(f.severity is Severity.VETO for f in findings):
        return commit, findings
    where = tools.run_dir(agent.id) / "checks"
    findings += await evidence(tools, job, base, commit, changed, where)
    return commit, findings


async def evidence(
    tools: Tools, job: Job, base: str, commit: str, changed: Changes, where: Path
) -> tuple[Finding, ...]:
    """Run what the project's settings ask for at `base` and at `commit`, and judge the outcomes."""
    configs = await in_thread(_configs, tools, job, base, commit, changed)
    files = None
    if job.settings.test_command:
        files = await in_thread(tools.workspaces.paths, job.repo, base)
    plan = plan_checks(job.task.type, job.settings, changed, base_files=files, configs=configs)
    results = await _run(tools, job, plan, base, commit, where)
    return judge(job.task.type, plan, results, changed)


async def _run(
    tools: Tools, job: Job, plan: CheckPlan, base: str, commit: str, where: Path
) -> list[CheckResult]:
    """Every run of the plan, two at a time."""
    if not plan.runs:
        return []
    layers = {
        BASE: await ensure_layer(tools, job, base, where.parent),
        RESULT: await ensure_layer(tools, job, commit, where.parent),
    }
    gate = asyncio.Semaphore(2)

    async def one(check: CheckRun) -> CheckResult:
        at = await _commit_for(tools, job, check, base, commit)
        wanted = Command(check.name, check.command, at, near=base, layer=layers[check.tree])
        async with gate:
            if at == base:
                return await run_cached(tools, job, wanted, where)
            return await run_fresh(tools, job, wanted, where)

    return list(await asyncio.gather(*map(one, plan.runs)))


async def _commit_for(tools: Tools, job: Job, check: CheckRun, base: str, commit: str) -> str:
    """The commit whose files a run needs: one of the two, or one with the other's tests."""
    whole, other = (base, commit) if check.tree == BASE else (commit, base)
    if not check.take and not check.drop:
        return whole
    return await in_thread(tools.workspaces.mixed, job.repo, whole, other, job.settings.test_paths)


def _configs(tools: Tools, job: Job, base: str, commit: str, changed: Changes) -> Contents:
    """The texts of changed files that decide which tests run, before and after."""
    command = job.settings.test_command or ""
    named = changed_configs(command, changed, job.settings.test_paths) if command else ()
    return {
        path: (_text(tools, job, base, path), _text(tools, job, commit, path)) for path in named
    }


def _text(tools: Tools, job: Job, commit: str, path: str) -> str | None:
    try:
        return tools.workspaces.read_file(job.repo, commit, path).decode("utf-8", "replace")
    except NotFound:
        return None


def _snapshot(tools: Tools, job: Job, agent: Agent, workspace: Workspace, base: str) -> Taken:
    message = (
        f"{job.task.title}\n\n{job.task.label}, attempt {job.task.attempt} by {agent.driver}\n"
    )
    return tools.workspaces.snapshot(
        workspace,
        base,
        message,
        job.settings.git_user_name,
        job.settings.git_user_email,
        exclude=DROPPINGS,
    )


def _changes(tools: Tools, job: Job, base: str, commit: str | None) -> Changes:
    return as_changes(tools.workspaces.changes(job.repo, base, commit)) if commit else ()


def as_changes(found: Iterable[Change]) -> Changes:
    """What git says has changed, as evidence."""
    return tuple(Changed(c.path, c.status, c.added, c.removed, c.old_path, c.binary) for c in found)


def _first_look(
    tools: Tools,
    job: Job,
    agent: Agent,
    taken: Taken,
    base: str,
    changed: Changes,
) -> tuple[Finding, ...]:
    added = tools.workspaces.added_lines(job.repo, base, taken.commit) if taken.commit else {}
    return validate(
        agent.outcome or Outcome.FAILED,
        agent.reason,
        changed,
        taken.nested,
        _result_file(tools.run_dir(agent.id) / "agent" / "result.json"),
        job.task,
        added=added,
        test_paths=job.settings.test_paths,
    )


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


def _verdict(tools: Tools, job: Job, agent: Agent, findings: list[Finding]) -> Verdict:
    task = job.task
    retry_at = (task.feedback or {}).get("ending", {}).get("retry_at")
    decision = decide(
        findings,
        autonomy=job.autonomy,
        tries=task.tries,
        max_attempts=job.settings.max_attempts,
        outcome=agent.outcome or Outcome.FAILED,
        retry_at=int(retry_at * 1000) if retry_at else None,
        now=int(tools.clock() * 1000),
        label=task.label,
    )
    return Verdict(
        id=new_id("vdt"),
        task_id=task.id,
        attempt=task.attempt,
        agent_id=agent.id,
        findings=tuple(findings),
        decision=decision,
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
