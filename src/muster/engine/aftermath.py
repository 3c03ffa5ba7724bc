"""Looking back at merged work: what became of it is recorded, so that confidence learns from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from muster.domain.aftermath import Sign
from muster.domain.errors import MusterError
from muster.engine.tools import Tools, in_thread
from muster.store import outcomes, projects
from muster.store.base import Tx
from muster.store.outcomes import Landed
from muster.store.projects import ProjectRow
from muster.supervision.aftermath import DAY_MS, Blamed, MergedWork, blamed_by, sign_of
from muster.workspace.history import Was

log = logging.getLogger("muster.engine")

EVERY = 3600.0
"""Seconds between looks at all projects; one that was merged into is looked at sooner."""

_DAYS, _MOST_TASKS, _MOST_COMMITS, _MOST_PATHS = 90, 200, 1000, 200


@dataclass(slots=True)
class LookBack:
    """Looks at merged work from time to time. It only reads the repository, and holds nobody up.

    Work is looked at for 90 days, of each project the newest 200 tasks.
    """

    tools: Tools
    _due: float | None = None
    _merged: set[str] = field(default_factory=set)
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)
    _was: dict[str, Was] = field(default_factory=dict)

    def merged(self, project_id: str) -> None:
        """Have a project looked at soon, because something was merged into it."""
        self._merged.add(project_id)

    async def now_and_then(self) -> None:
        """Look at those projects that were merged into, and every hour at all."""
        now = self.tools.clock()
        if self._due is None:  # a server that starts has other things to do
            self._due = now
            return
        found, self._merged = sorted(self._merged), set()
        if now >= self._due:
            self._due = now + EVERY
            found = [project.id for project in await self.tools.store.read(projects.list_projects)]
        for project_id in found:
            await self.look(project_id)

    async def look(self, project_id: str) -> int:
        """Record what can be said of a project's merged work by now; of how many tasks."""
        async with self._one:
            since = int(self.tools.clock() * 1000) - _DAYS * DAY_MS
            project, landed, texts = await self.tools.store.read(_read, project_id, since)
            if project.removed or not landed:
                return 0
            try:
                return await self._judge(project, landed, texts)
            except MusterError as error:
                log.warning("merged work of %s could not be looked at: %s", project.name, error)
                return 0

    async def _judge(
        self, project: ProjectRow, landed: Sequence[Landed], texts: Sequence[str]
    ) -> int:
        blamed, works = await in_thread(self._works, project, landed, texts)
        found = [
            (item, sign)
            for item, work in zip(landed, works, strict=True)
            if (sign := sign_of(work, blamed)) is not None and not _is_known(item, sign)
        ]

        def write(tx: Tx) -> None:
            for item, sign in found:
                outcomes.record(tx, item.task, item.verdict, sign)

        if found:
            await self.tools.store.write(write)
        return len(found)

    def _works(
        self, project: ProjectRow, landed: Sequence[Landed], texts: Sequence[str]
    ) -> tuple[Blamed, list[MergedWork]]:
        """What later words blame, and each task's work as the branch's head has it; blocks."""
        spaces = self.tools.workspaces
        tip = spaces.mirror(project.id).fetch(Path(project.git_dir), project.branch)
        oldest = str(landed[-1].task.merged_commit)
        later = spaces.words_since(project.id, oldest, tip, _MOST_COMMITS) if tip != oldest else ()
        blamed = blamed_by(((words.commit, words.message) for words in later), texts)
        now = int(self.tools.clock() * 1000)
        return blamed, [self._work(project.id, item, tip, now) for item in landed]

    def _work(self, project_id: str, item: Landed, tip: str, now: int) -> MergedWork:
        task, spaces = item.task, self.tools.workspaces
        merged = str(task.merged_commit)
        if merged not in self._was:
            self._was[merged] = spaces.changed_from(project_id, merged, _MOST_PATHS)
        return MergedWork(
            label=task.label,
            commits=tuple(filter(None, (merged, task.result_commit))),
            age_ms=now - (task.finished_at or now),
            later=item.later,
            undone=spaces.is_undone(project_id, self._was[merged], tip),
        )


def _is_known(item: Landed, sign: Sign) -> bool:
    known = item.known
    return known is not None and (known.shown, known.right) == (sign.shown, sign.right)


def _read(tx: Tx, project_id: str, since: int) -> tuple[ProjectRow, list[Landed], list[str]]:
    return (
        projects.get_project(tx, project_id),
        outcomes.landed_since(tx, project_id, since, _MOST_TASKS),
        outcomes.later_words(tx, project_id, since, _MOST_TASKS),
    )
