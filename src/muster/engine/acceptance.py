"""Acceptance tests on the walk: kept where no coder reaches, shown by halves, run on the work."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from muster.domain.acceptance import Shown, Written, shown_of, written_of
from muster.domain.agent import Agent
from muster.domain.task import Stage, Task
from muster.domain.verdict import Finding, vetoed
from muster.engine.checks import Command, run_cached, run_command
from muster.engine.setup import ensure_layer
from muster.engine.tools import Job, Tools, in_thread
from muster.failpoint import failpoint
from muster.runtimes.base import Why
from muster.store import acceptance, agents
from muster.store.base import Tx
from muster.supervision.acceptance import (
    ALL,
    GO_ON,
    VISIBLE_ONLY,
    abstained,
    judge_acceptance,
    judge_written,
    needs_visible_run,
    nobody_looks,
    only_tests,
    unfit,
)
from muster.supervision.beside import Beside
from muster.supervision.checks import matches
from muster.supervision.evidence import BASE, Changes, CheckResult
from muster.supervision.seen import Watched, measuring, reach_of

WITH_TESTS = "base+acceptance tests"
_NO_COMMAND = "the project has no test command any more"


# --- who writes them ------------------------------------------------------------------------------


async def fitness(
    tools: Tools, job: Job, agent: Agent, commit: str | None, changed: Changes, seen: list[Finding]
) -> list[Finding]:
    """Every finding about acceptance tests that were written; `seen` is what a look has found.

    Fit ones are kept by a ref of their task's, which nothing clears away.
    """
    found = nobody_looks((*seen, *only_tests(changed, job.settings.test_paths)))
    command = (job.settings.test_command or "").strip()
    if not command:
        found.append(unfit(_NO_COMMAND))
    if commit is None or vetoed(found):
        return found
    where = tools.run_dir(agent.id) / "checks"
    found += await _on_the_base(tools, job, command, commit, changed, where)
    failpoint("acceptance.judged")
    if written_of(found) is not None:
        mirror = tools.workspaces.mirror(job.repo)
        await in_thread(mirror.keep, f"refs/muster/acceptance/{job.task.id}", commit)
    failpoint("acceptance.kept")
    return found


async def _on_the_base(
    tools: Tools, job: Job, command: str, commit: str, changed: Changes, where: Path
) -> tuple[Finding, ...]:
    base, own = str(job.task.base_commit), job.project.id
    layer = await ensure_layer(tools, job, base, where.parent, of_agent=False)
    paths = await in_thread(tools.workspaces.paths, own, base)
    before: CheckResult | None = None
    if any(matches(job.settings.test_paths, path) for path in paths):
        first = Command(BASE, command, base, layer=layer, repo=own)
        before = await run_cached(tools, job, first, where)
    second = Command(WITH_TESTS, command, commit, near=base, layer=layer, addopts=GO_ON)
    after = await run_command(tools, job, second, where)
    return judge_written(
        before,
        after,
        tuple(change.path for change in changed),
        commits=(base, commit),
        task_id=job.task.id,
        known_names=frozenset(_names(paths)),
        wish=job.task.description,
    )


def _names(paths: tuple[str, ...]) -> set[str]:
    return {part for path in paths for part in PurePosixPath(path).with_suffix("").parts}


# --- who is judged by them ------------------------------------------------------------------------


async def shown_to(tools: Tools, job: Job) -> Shown | None:
    """What the coder of a task may see of the acceptance tests that judge it."""
    written, _ = await _tests_of(tools, job.task)
    return await in_thread(_shown, tools, job, written) if written else None


def _shown(tools: Tools, job: Job, written: Written) -> Shown:
    repo = job.task.hidden_repo
    return shown_of(written, partial(tools.workspaces.read_file, repo, written.commit))


async def accepted(
    tools: Tools, job: Job, agent: Agent | None, ends: tuple[str, str], what: Watched
) -> list[Finding]:
    """What the acceptance tests say of work from the first of `ends` to the second.

    Nothing for a task that owes none. They are run in a repository of their own, with the base's
    tests and none of the work's: what the work says how tests are run does not count here. `what`
    is added of which they are to tell whether they execute it.
    """
    task = job.task
    if task.acceptance_id is None:
        return []
    written, author = await _tests_of(tools, task)
    if written is None or author is None:
        return [abstained(_why_none(author), author.label if author else "")]
    command = (job.settings.test_command or "").strip()
    if not command:
        return [abstained(_NO_COMMAND, author.label)]
    where = tools.run_dir(f"acceptance-{task.id}-{task.attempt}") / "checks"
    by = await _writer(tools, author)
    told = measuring(command, what, written.files) if what else None
    everything = await _run(tools, job, written, ALL, ends, where, told)
    visible = None
    if needs_visible_run(written, everything):
        visible = await _run(tools, job, written, VISIBLE_ONLY, ends, where)
    seen = agent is not None and not tools.runtime(agent.runtime).distance.contains
    reach = reach_of(what, everything.left) if told else None
    return [judge_acceptance(written, everything, visible, by, seen=seen, reach=reach)]


async def _run(
    tools: Tools,
    job: Job,
    written: Written,
    name: str,
    ends: tuple[str, str],
    where: Path,
    told: tuple[str, Beside] | None = None,
) -> CheckResult:
    """Run them on the work at the second of `ends`, with tests as they are at the first.

    `told` is the test command with what has it tell of lines; a run that then does not end as such
    runs do is made anew without.
    """
    base, commit = ends
    repo = job.task.hidden_repo
    paths = written.files if name == ALL else written.shown

    def mix() -> str:
        bare = tools.workspaces.mixed(repo, commit, base, job.settings.test_paths)
        return tools.workspaces.with_files(repo, bare, written.commit, paths)

    layer = await ensure_layer(tools, job, commit, where.parent, of_agent=True)
    at = await in_thread(mix)
    command = (job.settings.test_command or "").strip()
    order = Command(name, command, at, near=base, layer=layer, repo=repo, addopts=GO_ON)
    failpoint("acceptance.before_run")
    if told is not None:
        run = await run_command(tools, job, replace(order, command=told[0], beside=told[1]), where)
        if run.why == Why.EXIT and run.tests is not None:
            return replace(run, command=command)
    return await run_command(tools, job, order, where)


async def _tests_of(tools: Tools, task: Task) -> tuple[Written | None, Task | None]:
    """The tests that judge a task, once they are written, and the task that writes them."""
    if task.acceptance_id is None:
        return None, None

    def read(tx: Tx) -> tuple[Written | None, Task | None]:
        author = acceptance.author_of(tx, task)
        said = acceptance.last_verdict(tx, author) if author else None
        return written_of(said.findings) if said else None, author

    return await tools.store.read(read)


async def _writer(tools: Tools, author: Task) -> str:
    """The agent that wrote them; its task where nobody did."""
    found = await tools.store.read(agents.agent_of_attempt, author.id, author.attempt)
    return found.id if found else author.label


def _why_none(author: Task | None) -> str:
    if author is None:
        return "the task that should write them is gone"
    if author.stage is Stage.COMPLETED:
        return f"those of {author.label} were never found fit"
    return f"{author.label}, which should write them, is {author.status}"
