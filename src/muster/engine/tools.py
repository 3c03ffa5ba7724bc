"""What the engine works with: the store, the places, the programs, and where things lie."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from muster.agents.base import Driver
from muster.agents.presets import PRESETS
from muster.domain.errors import Invalid
from muster.domain.project import Project, ProjectSettings
from muster.domain.task import Autonomy, Task
from muster.runtimes.base import Runtime
from muster.settings import Settings, resolve
from muster.store import projects
from muster.store.base import Store
from muster.workspace.workspaces import Workspaces

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Tools:
    """The engine's belongings, put together once by the wiring.

    `wishes` has an event for each task that a worker holds; it is set when a person wants the task
    to end. `clock` gives epoch seconds. `url` is where agents reach this server; empty while there
    is no door, and then they get no token.
    """

    settings: Settings
    store: Store
    workspaces: Workspaces
    runtimes: Mapping[str, Runtime]
    drivers: Mapping[str, Driver]
    clock: Callable[[], float]
    url: str = ""
    wishes: dict[str, asyncio.Event] = field(default_factory=dict)
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def wish(self, task_id: str) -> asyncio.Event:
        """Set when a person wants this task to end."""
        return self.wishes.setdefault(task_id, asyncio.Event())

    def lock(self, name: str) -> asyncio.Lock:
        """The one lock of this name."""
        return self.locks.setdefault(name, asyncio.Lock())

    def runtime(self, name: str) -> Runtime:
        """A place by name.

        Raises:
            Invalid: there is none of that name; the hint lists those there are.
        """
        if name not in self.runtimes:
            known = ", ".join(sorted(self.runtimes))
            raise Invalid(f"there is no runtime '{name}'", hint=f"runtimes: {known}")
        return self.runtimes[name]

    def driver(self, name: str) -> tuple[Driver, dict[str, Any]]:
        """The driver for `--agent NAME`, with the options of an own agent of that name.

        Raises:
            Invalid: there is none of that name; the hint lists those there are.
        """
        if name in PRESETS and name not in self.settings.agents:
            preset = PRESETS[name]
            return self.drivers[preset.driver], dict(preset.options)
        options = dict(self.settings.agents.get(name, {}))
        driver = str(options.pop("driver", "command")) if options else name
        if driver not in self.drivers:
            known = ", ".join(sorted(self.agent_names()))
            raise Invalid(f"there is no agent '{name}'", hint=f"agents: {known}")
        return self.drivers[driver], options

    def agent_names(self) -> frozenset[str]:
        """Every name that `--agent` takes: drivers, presets and own agents."""
        return frozenset({*self.drivers, *PRESETS, *self.settings.agents})

    def default_agent(self) -> str:
        """The agent a task gets that names none: the first own one, else Claude Code."""
        return next(iter(self.settings.agents), "claude")

    def run_dir(self, agent_id: str) -> Path:
        """Where an agent's run is kept; all its checks lie below."""
        return self.settings.runs / agent_id


@dataclass(frozen=True, slots=True)
class Job:
    """A task with the project it belongs to and the settings that hold for it now."""

    task: Task
    project: Project
    autonomy: Autonomy

    @property
    def settings(self) -> ProjectSettings:
        """The project's settings."""
        return self.project.settings

    @property
    def repo(self) -> str:
        """The name of the project's mirror."""
        return self.project.id


async def job_of(tools: Tools, task: Task) -> Job:
    """The task's project and settings, read now."""
    row = await tools.store.read(projects.get_project, task.project_id)
    settings, _ = resolve(tools.settings, row.overrides, row.file_settings)
    project = Project(
        row.id, row.name, row.git_dir, row.work_tree, row.branch, settings, row.trusted_config
    )
    return Job(task, project, task.autonomy or settings.autonomy)


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call (git, files) beside the loop."""
    return await asyncio.to_thread(call, *args, **kwargs)
