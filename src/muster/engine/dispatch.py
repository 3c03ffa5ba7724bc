"""What may start now: dependencies, priority, limits, budget, pause and room on the disk."""

from __future__ import annotations

import shutil

from muster.domain.task import Task
from muster.engine.tools import Tools
from muster.settings import resolve
from muster.store import judgements, moves, projects
from muster.store.base import Tx
from muster.store.moves import Limits


async def admit(tools: Tools) -> list[Task]:
    """Claim what may start now; nothing while the disk is nearly full."""
    if not room_on_disk(tools):
        return []
    return await tools.store.write(_admit, tools)


def _admit(tx: Tx, tools: Tools) -> list[Task]:
    limits = {
        p.id: resolve(tools.settings, p.overrides, p.file_settings)[0].max_concurrent
        for p in projects.list_projects(tx)
    }
    fleet = judgements.queue_settings(tx).max_concurrent
    return moves.admit(tx, Limits(fleet, limits, default=1))


def room_on_disk(tools: Tools) -> bool:
    """Whether enough of the disk is free to start something."""
    usage = shutil.disk_usage(tools.settings.home)
    floor = min(tools.settings.disk_floor_mb * 1_000_000, usage.total // 20)
    return usage.free > floor
