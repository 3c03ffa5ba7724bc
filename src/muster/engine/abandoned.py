"""An agent whose stage keeps failing: nobody follows its program any more, so that it is ended.

Else it would work and spend on, unseen, beside whoever tries the task again.
"""

from __future__ import annotations

import asyncio
import logging

from muster.domain.agent import LIVE, Agent, Outcome
from muster.domain.errors import MusterError
from muster.domain.task import Task
from muster.engine.logins import bring_home
from muster.engine.tools import Tools, in_thread
from muster.runtimes.rundir import RunDir
from muster.store import agents
from muster.store.agents import EndedAgent

log = logging.getLogger("muster.engine")

_PATIENCE = 15.0
"""Seconds that an end is waited for; a place that is away ends the run once it can be told."""


async def left_alone(tools: Tools, task: Task) -> Agent | None:
    """The agent of the attempt, unless it has ended."""
    agent = await tools.store.read(agents.agent_of_attempt, task.id, task.attempt)
    return agent if agent is not None and agent.status in LIVE else None


def ended_for(agent: Agent, why: str) -> EndedAgent:
    """Its end, for the move that hands its task over."""
    return EndedAgent(agent.id, Outcome.FAILED, why, None, 0.0, 0, agent.usage)


async def end_run(tools: Tools, agent: Agent) -> None:
    """End all that runs for it, and take back what it was lent.

    Only once the task has moved: while the store takes no writes its agent works on.
    """
    run_dir = tools.run_dir(agent.id)
    record = RunDir(run_dir)
    try:
        async with asyncio.timeout(_PATIENCE):
            if record.started() and record.exit() is None:
                runtime = tools.runtime(agent.runtime)
                await runtime.kill(run_dir)
                await runtime.wait(run_dir)
    except (MusterError, OSError) as error:  # TimeoutError is one
        log.warning("the run in %s was not seen to end: %s", run_dir, error)
        return
    await in_thread(bring_home, run_dir)
