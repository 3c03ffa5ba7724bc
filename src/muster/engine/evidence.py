"""What shows whether work is right: the project's own commands at the base and at the result."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from muster.domain.errors import NotFound
from muster.domain.verdict import Finding
from muster.engine.checks import Command, run_cached, run_fresh
from muster.engine.setup import ensure_layer
from muster.engine.tools import Job, Tools, in_thread
from muster.supervision.checks import CheckPlan, CheckRun, plan_checks
from muster.supervision.evidence import BASE, RESULT, Changed, Changes, CheckResult
from muster.supervision.quality import judge
from muster.supervision.runner_config import Contents, changed_configs
from muster.workspace.workspaces import Change


def as_changes(found: Iterable[Change]) -> Changes:
    """What git says has changed, as evidence."""
    return tuple(
        Changed(c.path, c.status, c.added, c.removed, c.old_path, c.binary, c.size, c.link)
        for c in found
    )


async def evidence(
    tools: Tools, job: Job, base: str, commit: str, changed: Changes, where: Path
) -> tuple[Finding, ...]:
    """Run what the project's settings ask for at `base` and at `commit`, and judge the outcomes."""
    plan = await in_thread(_plan, tools, job, base, commit, changed)
    results = await _run(tools, job, plan, base, commit, where)
    return judge(job.task.type, plan, results, changed)


def _plan(tools: Tools, job: Job, base: str, commit: str, changed: Changes) -> CheckPlan:
    configs = _configs(tools, job, base, commit, changed)
    files = tools.workspaces.paths(job.repo, base) if job.settings.test_command else None
    return plan_checks(job.task.type, job.settings, changed, base_files=files, configs=configs)


async def _run(
    tools: Tools, job: Job, plan: CheckPlan, base: str, commit: str, where: Path
) -> list[CheckResult]:
    """Every run of the plan, two at a time."""
    if not plan.runs:
        return []
    layers = {
        BASE: await ensure_layer(tools, job, base, where.parent, of_agent=False),
        RESULT: await ensure_layer(tools, job, commit, where.parent, of_agent=True),
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
