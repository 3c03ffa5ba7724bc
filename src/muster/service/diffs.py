"""The counter's part for changes: what a task's work differs in from its base."""

from __future__ import annotations

import asyncio
from typing import Any

from muster.agents.cassette import DIALECTS
from muster.agents.recording import cassette, record
from muster.domain.errors import Conflict
from muster.domain.task import Task
from muster.service.agents import Agents
from muster.service.checkpoints import Checkpoints
from muster.store import tasks
from muster.workspace.workspaces import Change

PATCH_BYTES = 200_000
MOST_FILES = 500


class Diffs(Checkpoints, Agents):
    """Everything a door can ask about changes."""

    async def task_diff(self, ref: str) -> dict[str, Any]:
        """The unified diff of a task's work against the commit it was made on, file by file.

        Raises:
            Conflict: the task has made no change yet.
        """
        task = await self._store.read(tasks.get_task, ref)
        if not task.base_commit or not task.result_commit:
            raise Conflict(
                f"{task.label} has made no change yet", hint="it appears when an attempt has ended"
            )
        return await asyncio.to_thread(self._diff, task, task.base_commit, task.result_commit)

    def _diff(self, task: Task, base: str, head: str) -> dict[str, Any]:
        changes = self._own.workspaces.changes(task.repo, base, head)
        return {
            "base": base,
            "head": head,
            "added": sum(c.added for c in changes),
            "removed": sum(c.removed for c in changes),
            "files": [self._file(task, base, head, c) for c in changes[:MOST_FILES]],
            "files_left_out": max(0, len(changes) - MOST_FILES),
        }

    def _file(self, task: Task, base: str, head: str, change: Change) -> dict[str, Any]:
        patch = ""
        if not change.binary:
            patch = self._own.workspaces.patch(
                task.repo, base, head, change.path, PATCH_BYTES, old_path=change.old_path
            )
        return {
            "path": change.path,
            "old_path": change.old_path,
            "status": change.status,
            "added": change.added,
            "removed": change.removed,
            "binary": change.binary,
            "patch": patch,
            "truncated": len(patch.encode("utf-8", "replace")) >= PATCH_BYTES,
        }

    async def cassette(self, agent_id: str) -> str:
        """An agent's transcript and its task's change as a cassette for `rehearsal`."""
        agent, items = await self.cassette_parts(agent_id)
        task = await self._store.read(tasks.get_task, agent.task_id)
        files: dict[str, bytes | None] = {}
        if task.base_commit and task.result_commit:
            files = await asyncio.to_thread(self._files, task, task.base_commit, task.result_commit)
        said = {
            stream: [(i.time, i.text) for i in items if i.stream == stream]
            for stream in ("out", "err")
        }
        lines = await asyncio.to_thread(record, said["out"], said["err"], files, agent.exit_code)
        dialect = agent.driver if agent.driver in DIALECTS else "text"
        return cassette([lines], source=agent.driver, dialect=dialect)

    def _files(self, task: Task, base: str, head: str) -> dict[str, bytes | None]:
        files: dict[str, bytes | None] = {}
        for change in self._own.workspaces.changes(task.repo, base, head):
            if change.status == "deleted":
                files[change.path] = None
                continue
            files[change.path] = self._own.workspaces.read_file(task.repo, head, change.path)
            if change.old_path:
                files[change.old_path] = None
        return files
