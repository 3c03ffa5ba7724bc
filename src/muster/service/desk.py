"""The desk that every part of the counter stands at: the store, the files, and shared lookups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from muster.domain.acceptance import Writers
from muster.domain.task import Task
from muster.forge.base import Forges
from muster.runtimes.choice import Usual
from muster.runtimes.hints import Hints
from muster.service import shapes
from muster.service.screens import Screens
from muster.settings import Settings, resolve
from muster.store import agents, judgements, projects, tasks
from muster.store.base import Store, Tx
from muster.store.checkpoints import NewCheckpoint
from muster.store.projects import ProjectRow
from muster.supervision.rulebook import RuleBook
from muster.workspace.workspaces import Workspaces


@dataclass(slots=True)
class Belongings:
    """What the counter works with, put together by the wiring.

    `agent_names` and `runtime_names` are those a task may name. `engine_state` tells how the
    engine of this process does, `usual` where runs go that name no place, once that is known,
    `clear_away` has it remove what is left over, and `at_work` keeps what an agent has made so far;
    `sizes` remembers how large a task's change is, by commit. `rules` are those of breakpoints, of
    all projects, `hints` the kernel's, of what grows. `agent_token` makes
    the token of an agent, `checkup` finds what is missing here, `forges` are where people see work.
    """

    settings: Settings
    store: Store
    workspaces: Workspaces
    clock: Callable[[], float]
    agent_names: frozenset[str]
    runtime_names: frozenset[str]
    default_agent: str
    engine_state: Callable[[], Mapping[str, Any]]
    version: str
    started_at: int
    room_on_disk: Callable[[], bool]
    usual: Callable[[], Usual | None]
    clear_away: Callable[[], Awaitable[dict[str, Any]]]
    at_work: Callable[[Task], Awaitable[NewCheckpoint]]
    rules: RuleBook
    agent_token: Callable[[str], str]
    checkup: Callable[[], Sequence[Mapping[str, str]]]
    forges: Forges
    screens: Screens = field(default_factory=lambda: Screens({}))
    hints: Hints = field(default_factory=Hints)
    sizes: dict[tuple[str, str, str], dict[str, int]] = field(default_factory=dict)


class Desk:
    """Shared by all parts of the counter."""

    def __init__(self, own: Belongings) -> None:
        """Stand at the counter with these belongings."""
        self._own = own
        self._store = own.store

    def _writers(self, project: ProjectRow) -> Writers:
        """Who can write acceptance tests for a project's tasks."""
        own = {**project.file_settings.get("agents", {}), **self._own.settings.agents}
        return Writers(tuple(own), self._own.default_agent)

    def _task_shapes(self, tx: Tx, found: Sequence[Task]) -> list[dict[str, Any]]:
        """Tasks as the doors see them, with a fixed number of queries."""
        ids = [t.id for t in found]
        known = {p: projects.get_project(tx, p) for p in {t.project_id for t in found}}
        settings = {p: self._settings(row) for p, row in known.items()}
        costs = tasks.cost_of(tx, ids)
        live = agents.live_by_task(tx, ids)
        waiting = judgements.open_by_task(tx, ids)
        labels = self._labels(tx, found)
        return [
            shapes.task_shape(
                t,
                shapes.Around(
                    project=known[t.project_id].name,
                    max_attempts=settings[t.project_id].max_attempts,
                    autonomy=str(settings[t.project_id].autonomy),
                    labels=labels,
                    cost=costs.get(t.id, (0.0, 0, 0)),
                    live=live.get(t.id),
                    breakpoint_id=waiting.get(t.id),
                    size=self._size(t),
                ),
            )
            for t in found
        ]

    def _task_shape(self, tx: Tx, task: Task) -> dict[str, Any]:
        return self._task_shapes(tx, [task])[0]

    def _project(self, tx: Tx, task: Task) -> ProjectRow:
        return projects.get_project(tx, task.project_id)

    def _settings(self, project: ProjectRow) -> Any:
        return resolve(self._own.settings, project.overrides, project.file_settings)[0]

    def _labels(self, tx: Tx, found: Sequence[Task]) -> dict[str, str]:
        needed = {n for t in found for n in t.needs}
        return {n: tasks.get_task(tx, n).label for n in needed}

    def _size(self, task: Task) -> dict[str, int]:
        key = (task.project_id, task.base_commit or "", task.result_commit or "")
        return self._own.sizes.get(key, {})

    def _now(self) -> int:
        return int(self._own.clock() * 1000)
