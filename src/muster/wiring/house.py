"""The house: every part of one running muster, joined; plugins enter by entry point."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from typing import Any

from muster import __version__
from muster.domain.ids import token_of
from muster.engine.daemon import Daemon, hand_over
from muster.engine.dispatch import room_on_disk
from muster.engine.janitor import sweep_all
from muster.engine.points import at_work
from muster.engine.tools import Tools
from muster.llm.accounts import CALLS_PER_HOUR
from muster.runtimes.screens import Shows
from muster.service.counter import Service
from muster.service.desk import Belongings
from muster.service.screens import Screens
from muster.settings import Settings
from muster.supervision.rulebook import RuleBook
from muster.supervision.runner import Runners
from muster.wiring.forges import Forges
from muster.wiring.models import Models
from muster.wiring.plugins import when_named, working
from muster.workspace.workspaces import Workspaces


def _diagnose(settings: Settings) -> list[dict[str, str]]:
    doctor: Any = import_module("muster.wiring.doctor")  # most servers never ask it
    found: list[dict[str, str]] = doctor.diagnose(settings.home)
    return found


class House:
    """Everything of one running muster, joined."""

    def __init__(self, settings: Settings, works: str = "") -> None:
        """Open the store and put the rooms together; nothing moves yet.

        `works` is the first workspace backend that works here, where that was found out already.
        """
        self.settings = settings
        self.traces: Any = None
        self.notices: Any = None
        self.store = working("stores", settings.home)["sqlite"](
            settings.database_url, settings.home
        )
        self.workspaces = Workspaces(
            settings.workspaces,
            working("workspaces", settings.home),
            wanted=None if settings.workspace_backend == "auto" else settings.workspace_backend,
            works=works,
        )
        self.workspaces.choose()
        calls: dict[str, int] = {}
        self.forges = Forges(settings)
        self.models = Models(settings, lambda project: calls.get(project, CALLS_PER_HOUR))
        self.tools = Tools(
            settings=settings,
            store=self.store,
            workspaces=self.workspaces,
            runtimes=working("runtimes", settings.home),
            drivers=working("agents", settings.home),
            clock=time.time,
            rules=RuleBook(working("conditions", settings.home), settings.home),
            stages=working("evidence", settings.home),
            runners=Runners(when_named("runners", settings.home)),
            models=self.models,
            forges=self.forges,
            model_calls=calls,
        )
        if settings.notify:
            notices: Any = import_module("muster.wiring.notices")  # nobody else pays for it
            self.notices = notices.Notices(settings, self.store, lambda: self.tools.url)
        durable = working("durable", settings.home)["rows"](
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
                screens=Screens(
                    {n: p for n, p in self.tools.runtimes.items() if isinstance(p, Shows)}
                ),
                default_agent=self.tools.default_agent(),
                engine_state=lambda: {
                    "active": self.daemon.live,
                    "adopted": self.daemon.adopted,
                },
                version=__version__,
                started_at=int(time.time() * 1000),
                room_on_disk=lambda: room_on_disk(self.tools),
                usual=lambda: self.tools.usual,
                clear_away=lambda: sweep_all(self.tools),
                at_work=lambda task: at_work(self.tools, task),
                rules=self.tools.rules,
                hints=self.tools.hints,
                agent_token=lambda agent_id: token_of(self.tools.key, agent_id),
                checkup=lambda: _diagnose(settings),
                forges=self.forges,
            )
        )

    async def start(self) -> None:
        """Begin to move tasks."""
        self.store.feed.bind(asyncio.get_running_loop())
        if self.settings.otel_endpoint:
            traces: Any = import_module("muster.wiring.traces")  # nobody else pays for it
            self.traces = traces.Traces(self.settings, self.store, __version__)
            self.traces.start()
        if self.notices is not None:
            self.notices.start()
        await self.daemon.start()

    async def stop(self) -> None:
        """Let go; running agents stay alive under their shims."""
        await self.daemon.stop()
        if self.notices is not None:
            await self.notices.stop()
        if self.traces is not None:
            await self.traces.stop()
        self.tools.hints.close()
        await self.models.close()
        await self.forges.close()
        await asyncio.to_thread(self.workspaces.rest)
        await self.store.close()
