"""The end of an attempt's workspace: taken away beside the walk, and told."""

from __future__ import annotations

from muster.domain.event import NewEvent
from muster.domain.task import Task
from muster.engine.tools import Tools, in_thread
from muster.store import events


def close_aside(tools: Tools, task: Task, agent_id: str) -> None:
    """Remove an attempt's workspace without waiting for it; after a crash the janitor does."""
    tools.aside("closing a workspace", close(tools, agent_id, task.project_id, task.id))


async def close(tools: Tools, agent_id: str, project_id: str, task_id: str | None) -> None:
    """Remove an attempt's workspace, if it is still there; what it held is kept by a ref first."""
    if not await in_thread(tools.workspaces.exists, agent_id):
        return
    workspace = await in_thread(tools.workspaces.get, agent_id)
    rescued = await in_thread(tools.workspaces.close, workspace)
    told = NewEvent("workspace.closed", agent_id, {"rescued": rescued}, project_id, task_id)
    await tools.store.write(events.append, told)
