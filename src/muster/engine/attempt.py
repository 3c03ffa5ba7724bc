"""ONE AGENT, START TO END: a workspace, a prompt, a program, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.agents.base import Driver, Ending
from muster.agents.base import Job as AgentJob
from muster.domain.agent import Agent, AgentStatus, Outcome, Role, Usage
from muster.domain.event import NewEvent
from muster.domain.ids import new_agent_id, new_token
from muster.domain.task import Stage, Task
from muster.engine.closing import close_aside
from muster.engine.follow import Follower
from muster.engine.reach import reach_of
from muster.engine.setup import ensure_layer
from muster.engine.tools import Job, Tools, in_thread, job_and_agent, job_of
from muster.engine.watch import Watch
from muster.failpoint import failpoint
from muster.knowledge.brief import brief
from muster.runtimes.base import Exit, Limits, RunSpec
from muster.runtimes.rundir import RunDir
from muster.store import agent_tokens
from muster.store import agents as agent_verbs
from muster.store.agents import EndedAgent, NewAgent
from muster.store.moves import Fence, Move, move
from muster.vault import environment, secrets_in
from muster.workspace.base import Workspace

_SHORTEST_SECRET = 6


async def prepare(tools: Tools, task: Task) -> Task:
    """Give the attempt its agent, its workspace and its prompt; then it is running."""
    job = await job_of(tools, task)
    driver, options = tools.driver(_agent_name(tools, job), job.agents)
    runtime = tools.runtime(task.runtime or options.get("runtime") or job.settings.runtime)
    new = NewAgent(new_agent_id(Role.CODING), Role.CODING, driver.name, runtime.name)
    agent, base = await asyncio.gather(
        tools.store.write(agent_verbs.start_agent, task, new), _base_commit(tools, job)
    )
    if tools.wish(task.id).is_set() or task.wish == "cancel":
        return await _cancelled(tools, task, agent)
    workspace = await _open(tools, job, agent, base)
    driver.launch(_agent_job(tools, job, agent, workspace, options))
    failpoint("attempt.prepared")
    return await tools.store.write(
        move,
        Move(
            Fence.of(task),
            Stage.RUNNING,
            columns={"base_commit": base},
            payload={"agent": agent.id, "base": base},
            events=(
                NewEvent(
                    "workspace.opened",
                    agent.id,
                    {"backend": workspace.backend, "commit": workspace.commit},
                    task.project_id,
                    task.id,
                ),
            ),
        ),
    )


async def run(tools: Tools, task: Task) -> Task:
    """Start the attempt's program, or find it running, and stay with it until it has ended."""
    job, agent = await job_and_agent(tools, task)
    driver, options = tools.driver(_agent_name(tools, job), job.agents)
    runtime = tools.runtime(agent.runtime)
    run_dir = tools.run_dir(agent.id)
    workspace = await in_thread(tools.workspaces.reopen, agent.id)
    agent_job = _agent_job(tools, job, agent, workspace, options)
    failpoint("run.before_spawn")
    if not RunDir(run_dir).started():
        # A run that goes on is not launched again: its agent may have changed what a launch reads.
        door = _door(tools)
        spec = await in_thread(_spec, tools, job, driver, agent_job, workspace, door)
        # Both at once: nobody can knock before the program has begun.
        await asyncio.gather(
            runtime.start(spec, run_dir),
            tools.store.write(agent_tokens.admit, task, agent.id, door["MUSTER_TOKEN"])
            if door
            else asyncio.sleep(0),
        )
    failpoint("run.after_spawn")
    # Written beside the watch: nobody has to wait for it, and what it says is true by now.
    told = asyncio.ensure_future(_started(tools, task, agent, workspace))
    follower = Follower(runtime, run_dir, tools.wish(task.id))
    reader = driver.reader(agent_job)
    watch = Watch(tools, task, agent, driver, reader, follower, agent_job.budget_usd)
    try:
        ending, exit_ = await watch.until_over()
    finally:
        await told
    return await _ended(tools, task, watch, ending, exit_)


def _door(tools: Tools) -> dict[str, str]:
    """Where the agent reaches muster, with a fresh token that opens its own task only."""
    return {"MUSTER_URL": tools.url, "MUSTER_TOKEN": new_token()} if tools.url else {}


async def _started(tools: Tools, task: Task, agent: Agent, workspace: Workspace) -> None:
    if agent.status is not AgentStatus.STARTING:
        return
    await tools.store.write(
        agent_verbs.update_agent,
        task,
        agent.id,
        {
            "status": str(AgentStatus.RUNNING),
            "started_at": int(tools.clock() * 1000),
            "workspace": str(workspace.tree),
        },
        (NewEvent("agent.started", agent.id, {"driver": agent.driver}, task.project_id, task.id),),
    )


async def _ended(tools: Tools, task: Task, watch: Watch, ending: Ending, exit_: Exit) -> Task:
    cancelled = ending.outcome is Outcome.CANCELLED
    ended = EndedAgent(
        watch.agent.id,
        ending.outcome,
        ending.reason,
        exit_.code,
        exit_.cpu_seconds,
        exit_.max_rss_bytes,
        watch.usage,
        exit_.left,
    )
    feedback = dict(task.feedback or {})
    feedback["ending"] = {
        "outcome": str(ending.outcome),
        "reason": ending.reason,
        "retry_at": ending.retry_at,
    }
    moved = await tools.store.write(
        move,
        Move(
            Fence.of(task),
            Stage.CANCELLED if cancelled else Stage.VALIDATING,
            reason=ending.reason if cancelled else "",
            columns={} if cancelled else {"feedback": feedback},
            payload={"agent": watch.agent.id, "outcome": str(ending.outcome)},
            ended=ended,
        ),
    )
    if cancelled:
        close_aside(tools, task, watch.agent.id)
    return moved


async def _cancelled(tools: Tools, task: Task, agent: Agent) -> Task:
    ended = EndedAgent(
        agent.id, Outcome.CANCELLED, "cancelled before it started", None, 0.0, 0, Usage()
    )
    return await tools.store.write(
        move, Move(Fence.of(task), Stage.CANCELLED, "cancelled by a person", ended=ended)
    )


def _agent_name(tools: Tools, job: Job) -> str:
    return job.task.agent or job.settings.agent or tools.default_agent()


async def _base_commit(tools: Tools, job: Job) -> str:
    """The target branch's head; a repeated attempt stays on the base its work stands on."""
    if job.task.result_commit and job.task.base_commit:
        return job.task.base_commit
    mirror = tools.workspaces.mirror(job.repo)
    return await in_thread(mirror.fetch, Path(job.project.git_dir), job.project.branch)


async def _open(tools: Tools, job: Job, agent: Agent, base: str) -> Workspace:
    layer = await ensure_layer(tools, job, base, tools.run_dir(agent.id))
    return await in_thread(_furnish, tools, job, agent, base, layer)


def _furnish(tools: Tools, job: Job, agent: Agent, base: str, layer: str | None) -> Workspace:
    """The workspace, and beside it the agent's home with the prompt."""
    commit = job.task.result_commit or base
    if tools.workspaces.exists(agent.id):
        # Left by a crash before the agent began: the branch may have moved on since.
        left = tools.workspaces.get(agent.id)
        if left.commit != commit:
            tools.workspaces.discard(left)
    workspace = tools.workspaces.open(
        agent.id,
        job.repo,
        commit,
        near=base,
        ports=job.settings.ports,
        branch=job.task.branch,
        layer=layer,
        for_all=tools.is_outside(agent.runtime),
    )
    folder = _private(tools, agent.id)
    (folder / "home" / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "prompt.md"
    path.write_text(brief(job.task, job.project, job.task.feedback), "utf-8", "replace")
    return workspace


def _private(tools: Tools, agent_id: str) -> Path:
    """What belongs to an agent and is neither its workspace nor its run's record."""
    return tools.run_dir(agent_id) / "agent"


def _agent_job(
    tools: Tools, job: Job, agent: Agent, workspace: Workspace, options: dict[str, Any]
) -> AgentJob:
    folder = _private(tools, agent.id)
    prompt_file = folder / "prompt.md"
    return AgentJob(
        run_id=agent.id,
        # Not from the file: the agent may have put anything in its place.
        prompt=brief(job.task, job.project, job.task.feedback),
        workspace=workspace.tree,
        home=folder / "home",
        prompt_file=prompt_file,
        result_file=folder / "result.json",
        environ=tools.settings.environ,
        options=options,
        model=job.task.model or options.get("model") or job.settings.model,
        budget_usd=_budget(job, options),
        attempt=job.task.attempt,
    )


def _budget(job: Job, options: Mapping[str, Any]) -> float | None:
    """The most a task may cost in US dollars: its own limit, else the agent's or the project's."""
    limits = (job.task.budget_usd, options.get("budget_usd"), job.settings.budget_usd)
    return next((float(limit) for limit in limits if limit is not None), None)


def _spec(
    tools: Tools,
    job: Job,
    driver: Driver,
    agent_job: AgentJob,
    workspace: Workspace,
    door: dict[str, str],
) -> RunSpec:
    launch = driver.launch(agent_job)
    for path, text in launch.files.items():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(text, "utf-8")
        path.chmod(0o600)
    first, count = workspace.ports
    env = environment(
        tools.settings.environ,
        agent_job.home,
        {
            "MUSTER_TASK": job.task.label,
            "MUSTER_ATTEMPT": str(job.task.attempt),
            "MUSTER_PORT_BASE": str(first),
            "MUSTER_PORT_COUNT": str(count),
            "GIT_AUTHOR_NAME": job.settings.git_user_name,
            "GIT_AUTHOR_EMAIL": job.settings.git_user_email,
            "GIT_COMMITTER_NAME": job.settings.git_user_name,
            "GIT_COMMITTER_EMAIL": job.settings.git_user_email,
            **door,
            **launch.env,
        },
    )
    own = agent_job.options.get("timeout_minutes")
    minutes = job.task.timeout_minutes or own or job.settings.timeout_minutes
    known = {s for s in launch.secrets if len(s) >= _SHORTEST_SECRET}
    known |= {token for name, token in door.items() if name == "MUSTER_TOKEN"}
    return RunSpec(
        run_id=agent_job.run_id,
        argv=launch.argv,
        cwd=str(workspace.tree),
        env=env,
        stdin=launch.stdin,
        interactive=launch.interactive,
        limits=Limits(wall_seconds=float(minutes) * 60),
        secrets=tuple(sorted(known | set(secrets_in(tools.settings.environ)))),
        folders=(str(workspace.tree), str(agent_job.home.parent)),
        **reach_of(tools, job, workspace, _private(tools, agent_job.run_id), env),
    )
