"""Checkpoints of a task: what is kept of a moment of its work."""

from __future__ import annotations

from muster.domain.agent import Agent
from muster.domain.errors import Conflict
from muster.domain.task import Task
from muster.engine.tools import Job, Tools, in_thread, job_and_agent
from muster.runtimes.rundir import RunDir
from muster.store.checkpoints import NewCheckpoint
from muster.workspace.look import DROPPINGS
from muster.workspace.workspaces import Taken


def point_of(tools: Tools, agent: Agent, label: str, commit: str) -> NewCheckpoint:
    """A moment of an agent's work: the files, its conversation, and how much it had printed."""
    printed = RunDir(tools.run_dir(agent.id)).log_size()
    return NewCheckpoint(label, commit, agent.id, agent.session_id, printed)


async def at_work(tools: Tools, task: Task) -> NewCheckpoint:
    """The work of the task's agent as it is at this moment, while that goes on.

    Raises:
        Conflict: the agent works on another machine, or has not begun.
    """
    job, agent = await job_and_agent(tools, task)
    if tools.runtime(agent.runtime).distance.carried:
        raise Conflict(
            f"the agent of {task.label} works on another machine ({agent.runtime})",
            hint="a checkpoint is taken when it ends and its work has come back",
        )

    def look() -> NewCheckpoint:
        taken = snapshot(tools, job, agent, str(task.base_commit))
        commit = taken.commit or str(task.base_commit)
        return point_of(tools, agent, "", commit)

    return await in_thread(look)


def snapshot(tools: Tools, job: Job, agent: Agent, base: str) -> Taken:
    """What the agent's workspace holds now, as one commit on `base`."""
    message = (
        f"{job.task.title}\n\n{job.task.label}, attempt {job.task.attempt} by {agent.driver}\n"
    )
    return tools.workspaces.snapshot(
        tools.workspaces.reopen(agent.id),
        base,
        message,
        job.settings.git_user_name,
        job.settings.git_user_email,
        exclude=DROPPINGS,
    )
