"""What may start now: dependencies, priority, limits, budget, pause and room on the disk."""

from __future__ import annotations

import shutil

from muster.domain.task import Task
from muster.engine.tools import Tools
from muster.settings import resolve
from muster.store import admission, judgements, projects
from muster.store.admission import Limits
from muster.store.base import Tx


async def admit(tools: Tools) -> list[Task]:
    """Claim what may start now; nothing while the disk is nearly full."""
    if not room_on_disk(tools):
        return []
    return await tools.store.write(_admit, tools)


def _admit(tx: Tx, tools: Tools) -> list[Task]:
    settings = {
        p.id: resolve(tools.settings, p.overrides, p.file_settings)[0]
        for p in projects.list_projects(tx)
    }
    at_once = {project: own.max_concurrent for project, own in settings.items()}
    fleet = judgements.queue_settings(tx).max_concurrent
    return admission.admit(tx, Limits(fleet, at_once, default=1, settings=settings))


def room_on_disk(tools: Tools) -> bool:
    """Whether enough of the disk is free to start something."""
    usage = shutil.disk_usage(tools.settings.home)
    floor = min(tools.settings.disk_floor_mb * 1_000_000, usage.total // 20)
    return usage.free > floor
