"""The house: every part of one running muster, joined; plugins enter by entry point."""

from __future__ import annotations

import asyncio
import logging
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from muster import __version__
from muster.engine.daemon import Daemon, hand_over
from muster.engine.dispatch import room_on_disk
from muster.engine.tools import Tools
from muster.runtimes.base import Runtime
from muster.service.counter import Service
from muster.service.desk import Belongings
from muster.settings import Settings
from muster.workspace.workspaces import Workspaces

log = logging.getLogger("muster")


def plugins(group: str) -> dict[str, Any]:
    """What is registered under `muster.<group>`, by name, loaded.

    A plugin that cannot be loaded is left out with a warning; the rest works.
    """
    found: dict[str, Any] = {}
    for entry in entry_points(group=f"muster.{group}"):
        try:
            found[entry.name] = entry.load()
        except Exception:  # a stranger's plugin must not stop the house
            if entry.value.startswith("muster."):
                raise
            log.exception("the plugin %s of muster.%s could not be loaded", entry.name, group)
    return found


def places(home: Path) -> dict[str, Runtime]:
    """Every place where this home's runs can be: a plugin may stand for several (`places`)."""
    found: dict[str, Runtime] = {}
    for name, make in plugins("runtimes").items():
        several = getattr(make, "places", None)
        found |= several(home) if several else {name: make()}
    return found


class House:
    """Everything of one running muster, joined."""

    def __init__(self, settings: Settings) -> None:
        """Open the store and put the rooms together; nothing moves yet."""
        self.settings = settings
        self.store = plugins("stores")["sqlite"](settings.database_url, settings.home)
        self.workspaces = Workspaces(
            settings.workspaces,
            {name: make() for name, make in plugins("workspaces").items()},
            wanted=None if settings.workspace_backend == "auto" else settings.workspace_backend,
        )
        self.workspaces.choose()
        self.tools = Tools(
            settings=settings,
            store=self.store,
            workspaces=self.workspaces,
            runtimes=places(settings.home),
            drivers={name: make() for name, make in plugins("agents").items()},
            clock=time.time,
        )
        durable = plugins("durable")["rows"](
            self.store, lambda task, fault: hand_over(self.tools, task, fault)
        )
        self.daemon = Daemon(self.tools, durable)
        self.service = Service(
            Belongings(
                settings=settings,
                store=self.store,
                workspaces=self.workspaces,
                clock=time.time,
                agent_names=self.tools.agent_names(),
                runtime_names=frozenset(self.tools.runtimes),
                default_agent=self.tools.default_agent(),
                engine_state=lambda: {
                    "active": self.daemon.live,
                    "adopted": self.daemon.adopted,
                },
                version=__version__,
                started_at=int(time.time() * 1000),
                room_on_disk=lambda: room_on_disk(self.tools),
            )
        )

    async def start(self) -> None:
        """Begin to move tasks."""
        self.store.feed.bind(asyncio.get_running_loop())
        await self.daemon.start()

    async def stop(self) -> None:
        """Let go; running agents stay alive under their shims."""
        await self.daemon.stop()
        await asyncio.to_thread(self.workspaces.rest)
        await self.store.close()
