"""ONE AGENT, START TO END: a workspace, a prompt, a program, and how it ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from muster.agents.base import Ending
from muster.domain.agent import Agent, AgentStatus, Outcome, Usage
from muster.domain.errors import Invalid
from muster.domain.event import NewEvent
from muster.domain.ids import new_agent_id
from muster.domain.playbook import role_of
from muster.domain.task import Stage, Task
from muster.engine.casting import cast
from muster.engine.closing import close_aside
from muster.engine.follow import Follower
from muster.engine.ground import Ground, ground_of
from muster.engine.kept_out import kept_out
from muster.engine.logins import bring_home
from muster.engine.managed import place_to_manage, told_of_workers
from muster.engine.order import (
    agent_job,
    budget_of,
    door_to,
    mailbox_of,
    order_of,
    permissions_of,
    private,
    seconds_of,
)
from muster.engine.outdated import outdated
from muster.engine.overseer import Overseer
from muster.engine.own_settings import untrusted
from muster.engine.post import delivered
from muster.engine.prompting import keep_brief, prompt_of
from muster.engine.resume import Past, catch_up, copy_home, gone_before, make_home, make_way
from muster.engine.review import prepare_review
from muster.engine.setup import ensure_layer
from muster.engine.tools import (
    Job,
    Tools,
    in_thread,
    job_and_agent,
    job_by,
    place_of,
    program_of,
    project_and_purse,
)
from muster.engine.tried import Tries, own_of
from muster.engine.watch import Watch
from muster.failpoint import failpoint
from muster.knowledge.brief import Brief
from muster.runtimes.base import Exit
from muster.runtimes.rundir import RunDir
from muster.store import agent_tokens, words
from muster.store import agents as agent_verbs
from muster.store.agents import EndedAgent, NewAgent
from muster.store.base import Tx
from muster.store.checkpoints import NewCheckpoint
from muster.store.moves import Fence, Move, move
from muster.workspace.base import Workspace


async def prepare(tools: Tools, task: Task) -> Task:
    """Give the attempt its agent, its workspace and its prompt; then it is running."""
    project, purse = await tools.store.read(project_and_purse, task)
    ground = await ground_of(tools, task, project)
    base, own = ground.base, ground.own
    task = replace(task, base_commit=task.base_commit or ground.kept)
    job = await cast(tools, job_by(tools, task, project, own, purse))
    driver, options = program_of(tools, job)
    runtime = await (place_to_manage if task.manages else place_of)(tools, job)
    if task.listens and not driver.capabilities.two_way:
        raise Invalid(
            f"'{driver.name}' is given its prompt and hears nothing after it",
            hint="give the manager a wish, or another agent: muster manager --agent claude",
        )
    role = role_of(task)
    new = NewAgent(
        new_agent_id(role),
        role,
        driver.name,
        runtime.name,
        permissions_of(job, driver, options),
        driver.capabilities.two_way,
    )
    agent = await tools.store.write(_begin, task, new)
    if tools.wish(task.id).is_set() or task.wish == "cancel":
        return await _cancelled(tools, task, agent)
    past = await gone_before(tools, task, driver, runtime.name)
    prompt = await prompt_of(tools, job)
    workspace, _ = await asyncio.gather(
        _open(tools, job, agent, ground, past, prompt.text), prepare_review(tools, job)
    )
    driver.launch(agent_job(tools, job, agent, workspace, options, prompt.text, past))
    failpoint("attempt.prepared")
    return await tools.store.write(
        move,
        Move(
            Fence.of(task),
            Stage.RUNNING,
            columns={"base_commit": ground.kept},
            payload={"agent": agent.id, "base": base, "role": str(role)},
            checkpoint=NewCheckpoint(f"before attempt {task.attempt}", workspace.commit),
            events=(
                NewEvent(
                    "workspace.opened",
                    agent.id,
                    {"backend": workspace.backend, "commit": workspace.commit},
                    task.project_id,
                    task.id,
                ),
                *untrusted(task, project, own),
                *_left_out(task, agent, prompt),
            ),
        ),
    )


def _left_out(task: Task, agent: Agent, prompt: Brief) -> tuple[NewEvent, ...]:
    """That the prompt holds less than there was to say, and less of what."""
    if not prompt.left_out:
        return ()
    cut = dict(prompt.left_out)
    said = {"parts": list(cut), "left_out": cut, "characters": len(prompt.text)}
    return (NewEvent("prompt.cut", agent.id, said, task.project_id, task.id),)


def _begin(tx: Tx, task: Task, new: NewAgent) -> Agent:
    """The attempt's agent, which hears what its predecessors were told and did not hear."""
    agent = agent_verbs.start_agent(tx, task, new)
    if new.two_way:
        words.pass_on(tx, agent)
    return agent


async def run(tools: Tools, task: Task) -> Task:
    """Start the attempt's program, or find it running, and stay with it until it has ended."""
    job, agent = await job_and_agent(tools, task)
    job = await cast(tools, job)
    driver, options = program_of(tools, job)
    runtime = tools.runtime(agent.runtime)
    run_dir = tools.run_dir(agent.id)
    workspace = await in_thread(tools.workspaces.reopen, agent.id)
    past = await gone_before(tools, task, driver, agent.runtime)
    started = RunDir(run_dir).started()
    door = door_to(tools, runtime, agent.id)
    if started and not await _is_admitted(tools, agent, door):
        door = {}
    prompt = await prompt_of(tools, job)
    wanted = agent_job(tools, job, agent, workspace, options, prompt.text, past, door)
    overseer = Overseer(tools, job, agent, driver.capabilities.reports_cost)
    failpoint("run.before_spawn")
    if not started:
        # A run that goes on is not launched again: its agent may have changed what a launch reads.
        spec, *_ = await asyncio.gather(
            in_thread(order_of, tools, job, driver, wanted, workspace, door, past),
            _admit(tools, task, agent, door),
            overseer.load(),
        )
        await runtime.start(spec, run_dir)
    else:
        await overseer.load()
        await catch_up(runtime, run_dir, tools.wish(task.id))
    failpoint("run.after_spawn")
    tools.turns.started(task.id)
    # Written beside the watch: nobody has to wait for it, and what it says is true by now.
    told = asyncio.ensure_future(_started(tools, task, agent, workspace))
    follower = Follower(runtime, run_dir, tools.wish(task.id))
    reader = driver.reader(wanted)
    budget = budget_of(job, options)
    tries = Tries(tools, job, agent, own_of(tools, job, wanted, workspace))
    watch = Watch(tools, task, agent, driver, reader, follower, overseer, tries, budget)
    if wanted.ask:
        watch.seconds = seconds_of(job, options)
    try:
        mailbox = mailbox_of(tools, job, agent.id)
        async with delivered(tools, task, agent, mailbox), told_of_workers(tools, task, mailbox):
            ending, exit_ = await watch.until_over()
    finally:
        await told
    await in_thread(bring_home, run_dir)
    if ending.outcome not in {Outcome.COMPLETED, Outcome.CANCELLED, Outcome.HELD}:
        environ = tools.settings.environ
        why = await in_thread(kept_out, runtime, run_dir, job.project, environ, exit_.code)
        old = await in_thread(outdated, runtime, driver, options, environ, ending.outcome)
        ending = replace(ending, reason="; ".join(filter(None, (ending.reason, why, old))))
    return await _ended(tools, task, watch, ending, exit_)


async def _admit(tools: Tools, task: Task, agent: Agent, door: dict[str, str]) -> None:
    """Let the agent in by its token, before its program can knock."""
    if door:
        await tools.store.write(agent_tokens.admit, task, agent.id, door["MUSTER_TOKEN"])


async def _is_admitted(tools: Tools, agent: Agent, door: dict[str, str]) -> bool:
    """Whether the token is the one that the program was started with."""
    token = door.get("MUSTER_TOKEN", "")
    return await tools.store.read(agent_tokens.agent_of_token, token) == agent.id


async def _started(tools: Tools, task: Task, agent: Agent, workspace: Workspace) -> None:
    if agent.status is not AgentStatus.STARTING:
        return
    said = {"driver": agent.driver, "contained": tools.runtime(agent.runtime).describe()}
    await tools.store.write(
        agent_verbs.update_agent,
        task,
        agent.id,
        {
            "status": str(AgentStatus.RUNNING),
            "started_at": int(tools.clock() * 1000),
            "workspace": str(workspace.tree),
        },
        (NewEvent("agent.started", agent.id, said, task.project_id, task.id),),
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
        watch.session_id,
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


async def _open(
    tools: Tools, job: Job, agent: Agent, ground: Ground, past: Past | None, prompt: str
) -> Workspace:
    layer = await ensure_layer(tools, job, ground.base, tools.run_dir(agent.id), of_agent=False)
    mailbox = mailbox_of(tools, job, agent.id)
    at = await make_way(tools, job.task, past)
    workspace, _ = await asyncio.gather(
        in_thread(_furnish, tools, job, agent, ground, layer, prompt, past, at),
        in_thread(mailbox.furnish, prompt, travels=tools.runtime(agent.runtime).distance.carried),
    )
    return workspace


def _furnish(
    tools: Tools,
    job: Job,
    agent: Agent,
    ground: Ground,
    layer: str | None,
    prompt: str,
    past: Past | None,
    at: str | None,
) -> Workspace:
    """The workspace, and beside it the agent's home with the prompt."""
    commit = ground.commit
    if tools.workspaces.exists(agent.id):
        # Left by a crash before the agent began: the branch may have moved on since.
        left = tools.workspaces.get(agent.id)
        if left.commit != commit:
            tools.workspaces.discard(left)
    workspace = tools.workspaces.open(
        agent.id,
        job.repo,
        commit,
        near=ground.base,
        ports=job.settings.ports,
        branch=job.task.branch,
        layer=layer,
        for_all=tools.runtime(agent.runtime).distance.mounted,
        at=at,
    )
    folder = private(tools, agent.id)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    home = private(tools, (past and past.home) or agent.id) / "home"
    if past and past.fork:
        copy_home(private(tools, past.agent.id) / "home", home)
    make_home(home)
    path = folder / "prompt.md"
    path.write_text(prompt, "utf-8", "replace")
    keep_brief(tools, agent, prompt)
    return workspace
