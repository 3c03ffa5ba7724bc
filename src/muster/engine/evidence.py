"""What shows whether work is right: the project's own commands at the base and at the result."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from muster.domain.agent import Agent
from muster.domain.verdict import Finding, vetoed
from muster.engine.acceptance import accepted
from muster.engine.checks import Command, keep, run_cached, run_command, run_fresh, runner_at
from muster.engine.setup import ensure_layer
from muster.engine.stages import further, rider_of, seed_of
from muster.engine.tools import Job, Tools, in_thread
from muster.supervision.changed_lines import added_numbers
from muster.supervision.checks import CheckPlan, CheckRun, matches, plan_checks
from muster.supervision.evidence import BASE, RESULT, Changed, Changes, CheckResult
from muster.supervision.ride import flips, tells, unsteady
from muster.supervision.runner import Runner
from muster.supervision.runner_config import Contents, changed_configs
from muster.supervision.seen import watched
from muster.supervision.stage import Beside, Case, Run
from muster.supervision.weakened import READ
from muster.workspace.workspaces import Change

AT_ONCE = 2
_MOST_TESTS = 500


def as_changes(found: Iterable[Change]) -> Changes:
    """What git says has changed, as evidence."""
    return tuple(
        Changed(c.path, c.status, c.added, c.removed, c.old_path, c.binary, c.size, c.link)
        for c in found
    )


async def evidence(
    tools: Tools,
    job: Job,
    agent: Agent | None,
    base: str,
    commit: str,
    changed: Changes,
    where: Path,
) -> tuple[Finding, ...]:
    """Run what the project's settings ask for at `base` and at `commit`, and judge the outcomes.

    Where nothing refuses the work, its acceptance tests are run too. Without an agent it is at its
    merge, and was judged before: only what can still refuse it is looked at.
    """
    again = agent is None
    case = await _of_checks(tools, job, base, commit, changed, where, again=again)
    if vetoed(case.findings):
        return case.findings
    what = {} if again else await in_thread(watched, case)
    return (*case.findings, *await accepted(tools, job, agent, (base, commit), what))


async def _of_checks(
    tools: Tools,
    job: Job,
    base: str,
    commit: str,
    changed: Changes,
    where: Path,
    *,
    again: bool,
) -> Case:
    """What the project's own commands and the stages of evidence say."""
    plan = await in_thread(_plan, tools, job, base, commit, changed)
    patched = bool(plan.test_command) and not again
    case = await in_thread(_case, tools, job, plan, base, commit, changed, patched=patched)
    ridden = None if again else await in_thread(rider_of, tools, case)
    ground = _Ground(tools, job, plan, base, commit, where, ridden, again)
    if plan.runs:
        await ground.lay()
    results = await ground.planned()
    rode = ridden[1] if ridden and ground.rode else None
    case = replace(case, results=tuple(results), rider=rode, findings=tuple(ground.told))
    return replace(case, findings=await further(tools, case, ground.more, again=again))


def _plan(tools: Tools, job: Job, base: str, commit: str, changed: Changes) -> CheckPlan:
    command = (job.settings.test_command or "").strip()
    runner = runner_at(tools, job.repo, command, commit) if command else None
    configs = _configs(tools, job, base, commit, changed, runner)
    files = tools.workspaces.paths(job.repo, base) if command else None
    return plan_checks(
        job.task.type,
        job.settings,
        changed,
        base_files=files,
        configs=configs,
        runner=runner,
        tests=_tests(tools, job, base, commit, changed),
    )


def _case(
    tools: Tools,
    job: Job,
    plan: CheckPlan,
    base: str,
    commit: str,
    changed: Changes,
    *,
    patched: bool,
) -> Case:
    patches = tools.workspaces.patches(job.repo, base, commit) if patched else {}
    return Case(
        task_type=job.task.type,
        settings=job.settings,
        plan=plan,
        results=(),
        changed=changed,
        added={path: numbers for path, text in patches.items() if (numbers := added_numbers(text))},
        text=partial(_text, tools, job, commit),
        seed=seed_of(tools, commit),
    )


@dataclass(slots=True)
class _Ground:
    """Where an attempt's checks are run: its commits and what lies under them, two at a time.

    `again`: it is the work's merge, which another one behind it may have had checked as its base.
    """

    tools: Tools
    job: Job
    plan: CheckPlan
    base: str
    commit: str
    where: Path
    ridden: tuple[str, Beside] | None
    again: bool
    rode: bool = False
    told: list[Finding] = field(default_factory=list)
    layers: dict[str, str | None] = field(default_factory=dict)
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def lay(self) -> None:
        """Have the setup command's results there."""
        ensure = partial(ensure_layer, self.tools, self.job, run_dir=self.where.parent)
        self.layers[BASE] = await ensure(self.base, of_agent=False)
        self.layers[RESULT] = await ensure(self.commit, of_agent=True)

    async def planned(self) -> list[CheckResult]:
        """How every run of the plan ends."""
        return list(await asyncio.gather(*map(self._check, self.plan.runs)))

    async def more(self, runs: Sequence[Run]) -> list[CheckResult]:
        """How the runs end that a stage wants."""
        return list(await asyncio.gather(*map(self._run, runs)))

    async def _check(self, check: CheckRun) -> CheckResult:
        wanted = await self._wanted(check, check.name, check.command)
        async with self.gate:
            if wanted.commit == self.base:
                return await run_cached(self.tools, self.job, wanted, self.where)
            if check.name == RESULT and self.ridden is not None:
                return await self._ride(wanted, *self.ridden)
            if check.name == RESULT and self.again:
                return await run_cached(self.tools, self.job, wanted, self.where, green_alone=True)
            return await run_fresh(self.tools, self.job, wanted, self.where)

    async def _ride(self, plain: Command, command: str, beside: Beside) -> CheckResult:
        """The result's own run, so that a stage learns from it.

        It counts like the plain one; where it says nothing of single tests, only if it is green.
        """
        ridden = replace(plain, command=command, beside=beside)
        result = await run_command(self.tools, self.job, ridden, self.where)
        result = replace(result, command=plain.command)
        self.rode = tells(self.plan, result)
        if not self.rode:
            again = await run_fresh(self.tools, self.job, plain, self.where)
            self.told += [unsteady(result)] if flips(self.plan, result, again) else []
            return again
        if result.exit_code == 0:
            await keep(self.tools, self.job, plain, replace(result, left=None))
        return result

    async def _run(self, run: Run) -> CheckResult:
        check = self.plan.run(run.at)
        if check is None:
            raise ValueError(f"a stage wants a run at '{run.at}', which is not planned")
        beside = None if run.beside == Beside() else run.beside
        wanted = replace(await self._wanted(check, run.name, run.command), beside=beside)
        call = run_command if run.anew else run_cached
        async with self.gate:
            return await call(self.tools, self.job, wanted, self.where)

    async def _wanted(self, check: CheckRun, name: str, command: str) -> Command:
        at = await self._commit_for(check)
        return Command(name, command, at, near=self.base, layer=self.layers[check.tree])

    async def _commit_for(self, check: CheckRun) -> str:
        """The commit whose files a run needs: one of the two, or one with the other's tests."""
        two = (self.base, self.commit)
        whole, other = two if check.tree == BASE else reversed(two)
        if not check.take and not check.drop:
            return whole
        paths, repo = self.job.settings.test_paths, self.job.repo
        return await in_thread(self.tools.workspaces.mixed, repo, whole, other, paths)


def _configs(
    tools: Tools, job: Job, base: str, commit: str, changed: Changes, runner: Runner | None
) -> Contents:
    """The texts of changed files that decide which tests run, before and after."""
    command, tests = job.settings.test_command or "", job.settings.test_paths
    more = runner.configs if runner is not None else ()
    named = changed_configs(command, changed, tests, more) if command else ()
    return {
        path: (_text(tools, job, base, path), _text(tools, job, commit, path)) for path in named
    }


def _tests(tools: Tools, job: Job, base: str, commit: str, changed: Changes) -> Contents:
    """The texts of changed test files that can be read for what they assert, before and after."""
    patterns = job.settings.test_paths if job.settings.test_command else ()
    named = [
        (change.old_path or change.path, change.path)
        for change in changed
        if change.status in {"modified", "renamed"}
        and change.path.endswith(READ)
        and matches(patterns, change.path)
    ]
    return {
        path: (_text(tools, job, base, was), _text(tools, job, commit, path))
        for was, path in named[:_MOST_TESTS]
    }


def _text(tools: Tools, job: Job, commit: str, path: str) -> str | None:
    found = tools.workspaces.find_file(job.repo, commit, path)
    return None if found is None else found.decode("utf-8", "replace")
