"""The janitor: closes workspaces that no claim needs any more, whatever died in between."""

from __future__ import annotations

import logging

from muster.domain.errors import MusterError
from muster.domain.task import ACTIVE
from muster.engine.closing import close
from muster.engine.tools import Tools, in_thread
from muster.store import agents, tasks
from muster.store.base import Tx

log = logging.getLogger("muster.engine")

CHECK = "-check"
"""How the names of workspaces for checks end; they are made anew when they are needed."""


async def sweep(tools: Tools) -> int:
    """Close what is left over; how many. A workspace that cannot be closed safely stays."""
    open_ones = await in_thread(tools.workspaces.list)
    if not open_ones:
        return 0
    needed = await tools.store.read(_needed)
    closed = 0
    for workspace in open_ones:
        owner = workspace.id.removesuffix(CHECK)
        if owner in needed or any(owner.startswith(f"{task}-") for task in needed):
            continue
        try:
            if workspace.id.endswith(CHECK):
                await in_thread(tools.workspaces.discard, workspace)
            else:
                await close(tools, workspace.id, workspace.repo_id, None)
            closed += 1
        except (MusterError, OSError) as error:
            log.warning("workspace %s stays: %s", workspace.id, error)
    return closed


def _needed(tx: Tx) -> frozenset[str]:
    """Ids of the tasks that are claimed and of the agents of their current attempts."""
    found: set[str] = set()
    for task in tasks.list_tasks(tx, stages=sorted(ACTIVE), limit=10_000):
        found.add(task.id)
        agent = agents.agent_of_attempt(tx, task.id, task.attempt)
        if agent is not None:
            found.add(agent.id)
    return frozenset(found)
