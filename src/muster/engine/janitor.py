"""The janitor: closes workspaces that no claim needs any more, whatever died in between."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from muster.domain.errors import MusterError
from muster.domain.task import ACTIVE
from muster.engine.closing import close
from muster.engine.tools import Tools, in_thread
from muster.store import agents, tasks
from muster.store.base import Tx

log = logging.getLogger("muster.engine")

CHECK = "-check"
"""How the names of workspaces for checks end; they are made anew when they are needed."""


@runtime_checkable
class Sweeps(Protocol):
    """A place that may keep something of runs that are over."""

    async def sweep(self, runs: Path) -> list[str]:
        """Remove what is left of runs below `runs`; their names there."""
        ...


async def sweep_all(tools: Tools) -> dict[str, Any]:
    """Clear away now what would be cleared away some time: how many workspaces, and which runs."""
    return {"workspaces": await sweep(tools), "runs": await sweep_places(tools)}


async def sweep_places(tools: Tools) -> list[str]:
    """Have the places remove what they keep of runs that are over, as far as they were used.

    The names under which the places kept them.
    """
    swept: list[str] = []
    for name, place in tools.runtimes.items():
        if not isinstance(place, Sweeps) or not await tools.store.read(agents.was_used, name):
            continue
        try:
            swept += [f"{name}: {each}" for each in await place.sweep(tools.settings.runs)]
        except MusterError as error:
            log.warning("%s could not be cleared up: %s", name, error)
    return swept


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
