"""What the engine works with: the store, the places, the programs, and where things lie."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from muster.agents.base import Driver
from muster.agents.presets import NAMED
from muster.domain.about import also_about
from muster.domain.acceptance import Writers
from muster.domain.agent import Agent
from muster.domain.errors import Invalid
from muster.domain.project import DEFAULT_TEST_PATHS, Project, ProjectSettings
from muster.domain.task import Autonomy, Task
from muster.engine.boarding import Platform
from muster.engine.turns import Turns
from muster.own_file import OWN_FILE, OWN_FOLDERS, OwnFile, parse_own_file
from muster.runtimes.base import Limits, Runtime
from muster.runtimes.choice import Usual, choose
from muster.runtimes.hints import Hints
from muster.settings import Settings, resolve
from muster.store import agents, projects
from muster.store.base import Store, Tx
from muster.store.projects import TRUSTED_RULES, ProjectRow
from muster.store.purse import Purse, purse_of
from muster.supervision.rulebook import RuleBook
from muster.supervision.runner import Runners
from muster.supervision.stage import Stage
from muster.workspace.workspaces import Workspaces

if TYPE_CHECKING:
    from muster.llm.asking import Model

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("muster.engine")

_SETTLE_SECONDS = 10.0
_MB = 1_000_000


class Models(Protocol):
    """The models of the server; they are made when they are first asked for."""

    def of(self, text: str, *, embedding: bool = False) -> Model:
        """The model that a setting names.

        Raises:
            Invalid: it names none, or a kind that there is not.
        """
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


@dataclass(slots=True)
class Tools:
    """The engine's belongings, put together once by the wiring.

    `wishes` has an event for each task that a worker holds; it is set when a person wants the task
    to end. `clock` gives epoch seconds. `idle_seconds` is how long an agent may say and do nothing.
    `look_again_seconds` is how long a mailbox rests of which no hint was heard. `url` is where
    agents reach this server; empty while there is no door, and then they get no token; `key` is the
    secret of which theirs are made. `model_calls` is how many requests a project may make to its
    models in an hour, as its settings said when it last asked. `usual` is where runs go that name
    no place, once that is known. `stages` are those of evidence that there are,
    and `runners` those that run tests.
    """

    settings: Settings
    store: Store
    workspaces: Workspaces
    runtimes: Mapping[str, Runtime]
    drivers: Mapping[str, Driver]
    clock: Callable[[], float]
    rules: RuleBook
    models: Models
    model_calls: dict[str, int] = field(default_factory=dict)
    stages: Mapping[str, Stage] = field(default_factory=dict)
    runners: Runners = field(default_factory=Runners)
    url: str = ""
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    idle_seconds: float = 120.0
    look_again_seconds: float = 5.0
    wishes: dict[str, asyncio.Event] = field(default_factory=dict)
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    platforms: dict[str, Platform[Job]] = field(default_factory=dict)
    hints: Hints = field(default_factory=Hints)
    turns: Turns = field(default_factory=Turns)
    usual: Usual | None = None
    _aside: set[asyncio.Task[None]] = field(default_factory=set)

    def wish(self, task_id: str) -> asyncio.Event:
        """Set when a person wants this task to end."""
        return self.wishes.setdefault(task_id, asyncio.Event())

    def lock(self, name: str) -> asyncio.Lock:
        """The one lock of this name."""
        return self.locks.setdefault(name, asyncio.Lock())

    def platform(self, name: str) -> Platform[Job]:
        """Where those wait that are to be merged into the branch of this name."""
        return self.platforms.setdefault(name, Platform())

    def aside(self, what: str, work: Awaitable[object]) -> None:
        """Do what nobody waits for; a fault in it is only logged."""
        task = asyncio.create_task(_logged(what, work), name=what)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def settle(self) -> None:
        """Wait a while for what is being done aside, as at the end of the house."""
        if self._aside:
            await asyncio.wait(self._aside, timeout=_SETTLE_SECONDS)

    def runtime(self, name: str) -> Runtime:
        """A place by name.

        Raises:
            Invalid: there is none of that name; the hint lists those there are.
        """
        if name not in self.runtimes:
            known = ", ".join(sorted(self.runtimes))
            raise Invalid(f"there is no runtime '{name}'", hint=f"runtimes: {known}")
        return self.runtimes[name]

    async def usual_place(self) -> Usual:
        """Where runs go that name no place; tried once, when it is first asked, and told."""
        async with self.lock("usual place"):
            if self.usual is None:
                self.usual = await in_thread(choose, self.runtimes)
                if self.usual.why:
                    log.warning("%s; to mend: %s", self.usual.told(), self.usual.mend)
                else:
                    log.info("%s", self.usual.told())
            return self.usual

    def driver(
        self, name: str, of_project: Mapping[str, Mapping[str, Any]]
    ) -> tuple[Driver, dict[str, Any]]:
        """The driver for `--agent NAME`, with the options of an own agent of that name.

        Raises:
            Invalid: there is none of that name; the hint lists those there are.
        """
        own = {**of_project, **self.settings.agents}
        if name in NAMED and name not in own:
            preset = NAMED[name]
            return self.drivers[preset.driver], dict(preset.options)
        options = dict(own.get(name, {}))
        driver = str(options.pop("driver", "command")) if options else name
        if driver not in self.drivers:
            known = ", ".join(sorted({*self.agent_names(), *of_project}))
            raise Invalid(f"there is no agent '{name}'", hint=f"agents: {known}")
        return self.drivers[driver], options

    def agent_names(self) -> frozenset[str]:
        """Every name that `--agent` takes: drivers, presets and own agents."""
        return frozenset({*self.drivers, *NAMED, *self.settings.agents})

    def default_agent(self) -> str:
        """The agent a task gets that names none: the first own one, else Claude Code."""
        return next(iter(self.settings.agents), "claude")

    def writers(self, of_project: Mapping[str, Any]) -> Writers:
        """Who can write acceptance tests; `of_project` are the agents of its own file."""
        return Writers(tuple({**of_project, **self.settings.agents}), self.default_agent())

    def run_dir(self, agent_id: str) -> Path:
        """Where an agent's run is kept; all its checks lie below."""
        return self.settings.runs / agent_id


@dataclass(frozen=True, slots=True)
class Job:
    """A task with the project it belongs to and the settings that hold for it now.

    `agents` are the project's own agents, those of its trusted `.muster/config.toml`; `purse` is
    what a manager's or a worker's task is paid from, as it was then; `trusted_rules` is the digest
    of its trusted rules file. `player` is the agent that plays the task's role, where that is not
    the one that does the task. `prompts` are the project's own templates, as far as it is trusted.
    """

    task: Task
    project: Project
    autonomy: Autonomy
    agents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    purse: Purse | None = None
    trusted_rules: str = ""
    player: str | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> ProjectSettings:
        """The project's settings."""
        return self.project.settings

    @property
    def repo(self) -> str:
        """The name of the repository of muster's own that holds the task's work."""
        return self.task.repo


async def job_of(tools: Tools, task: Task) -> Job:
    """The task's project and settings, read now, as its branch was last seen."""
    row, purse = await tools.store.read(project_and_purse, task)
    return _job(tools, task, row, row.file_settings, purse)


async def job_at(tools: Tools, task: Task, commit: str) -> Job:
    """The same with the repository's own settings as they are at a commit.

    Raises:
        Invalid: its settings file there is none.
    """
    row, purse = await tools.store.read(project_and_purse, task)
    return job_by(tools, task, row, await own_file_at(tools, row.id, commit), purse)


def job_by(tools: Tools, task: Task, row: ProjectRow, own: OwnFile, purse: Purse | None) -> Job:
    """The same of a project that was read, with its own file."""
    return _job(tools, task, row, own.counting(row.trusted_file, row.file_settings), purse)


def project_and_purse(tx: Tx, task: Task) -> tuple[ProjectRow, Purse | None]:
    """The task's project, and what its manager's purse holds."""
    return projects.get_project(tx, task.project_id), purse_of(tx, task)


async def own_file_at(tools: Tools, project_id: str, commit: str) -> OwnFile:
    """A repository's own settings file at a commit; see `read_own_file`."""
    return await in_thread(read_own_file, tools.workspaces, project_id, commit)


def read_own_file(workspaces: Workspaces, project_id: str, commit: str) -> OwnFile:
    """A repository's own settings file at a commit.

    Raises:
        Invalid: it is none.
    """
    return parse_own_file(
        workspaces.small_file(project_id, commit, OWN_FILE),
        {n: workspaces.small_folder(project_id, commit, *f) for n, f in OWN_FOLDERS.items()},
    )


async def job_and_agent(tools: Tools, task: Task) -> tuple[Job, Agent]:
    """The job as of the attempt's base, and the attempt's agent, in one read."""

    def read(tx: Tx) -> tuple[ProjectRow, Purse | None, Agent | None]:
        return *project_and_purse(tx, task), agents.agent_of_attempt(tx, task.id, task.attempt)

    row, purse, agent = await tools.store.read(read)
    if agent is None:
        raise RuntimeError(f"attempt {task.attempt} of {task.label} has no agent")
    also_about(agent=agent.id)
    own = await own_file_at(tools, row.id, str(task.base_commit))
    return job_by(tools, task, row, own, purse), agent


def _job(
    tools: Tools, task: Task, row: ProjectRow, counts: Mapping[str, Any], purse: Purse | None
) -> Job:
    settings, _ = resolve(tools.settings, row.overrides, counts)
    if task.image:
        settings = replace(settings, image=task.image)
    settings = _with_customs(tools, settings)
    project = Project(
        row.id, row.name, row.git_dir, row.work_tree, row.branch, settings, row.trusted_config
    )
    own = counts.get("agents", {})
    trusted = str(row.file_settings.get(TRUSTED_RULES, ""))
    prompts = counts.get("prompts", {})
    autonomy = task.autonomy or settings.autonomy
    return Job(task, project, autonomy, own, purse, trusted, prompts=prompts)


def _with_customs(tools: Tools, settings: ProjectSettings) -> ProjectSettings:
    """With the files that are tests by the custom of the test runner, unless the project says."""
    if not settings.test_command or settings.test_paths != DEFAULT_TEST_PATHS:
        return settings
    runners = tools.runners.named(settings.test_command)
    customs = (path for runner in runners for path in runner.test_paths)
    paths = tuple(dict.fromkeys((*DEFAULT_TEST_PATHS, *customs)))
    return settings if paths == DEFAULT_TEST_PATHS else replace(settings, test_paths=paths)


def program_of(tools: Tools, job: Job) -> tuple[Driver, dict[str, Any]]:
    """The driver of the program that does the task, with its options."""
    return tools.driver(program_name(tools, job), job.agents)


def program_name(tools: Tools, job: Job) -> str:
    """The agent that does the task, as people name it."""
    return job.player or job.task.agent or job.settings.agent or tools.default_agent()


def limits_of(job: Job, wall_seconds: float) -> Limits:
    """What one run of a task may use."""
    own = job.settings
    return Limits(
        wall_seconds=wall_seconds,
        processes=own.processes,
        memory_bytes=own.memory_mb * _MB,
        disk_bytes=own.disk_mb * _MB,
        cpus=own.cpus,
    )


async def place_of(tools: Tools, job: Job) -> Runtime:
    """Where the task's agent runs and, contained like it, the project's commands."""
    return tools.runtime(place_named(tools, job) or (await tools.usual_place()).name)


def place_named(tools: Tools, job: Job) -> str:
    """Where somebody said that it should run; empty when nobody did."""
    _, options = program_of(tools, job)
    return str(job.task.runtime or options.get("runtime") or job.settings.runtime or "")


async def _logged(what: str, work: Awaitable[object]) -> None:
    try:
        await work
    except Exception:  # nobody waits for it, so nobody else would hear of it
        log.exception("%s failed; it is done when it is needed, or by the janitor", what)


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call (git, files) beside the loop."""
    return await asyncio.to_thread(call, *args, **kwargs)
