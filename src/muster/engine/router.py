"""The router: events lead tasks on, each once, by the tables of their playbooks."""

from __future__ import annotations

import logging
from functools import partial

from muster.domain.project import ProjectSettings
from muster.engine.tools import Tools
from muster.settings import resolve
from muster.store import projects, routing
from muster.store.base import Tx
from muster.store.routing import Routed

log = logging.getLogger("muster.engine")


async def lead_on(tools: Tools) -> None:
    """Let every event that is due lead its task on; each look finds what the last one left."""
    if not await tools.store.read(routing.is_due):
        return
    for routed in await tools.store.write(_route, tools):
        if routed.state == "refused":
            log.info("an event led nowhere: %s", routed.led_to)


def _route(tx: Tx, tools: Tools) -> list[Routed]:
    return routing.route(tx, partial(_settings, tx, tools))


def _settings(tx: Tx, tools: Tools, project_id: str) -> ProjectSettings:
    row = projects.get_project(tx, project_id)
    return resolve(tools.settings, row.overrides, row.file_settings)[0]
