"""The counter's part for what agents of a project share: its files to search, its locks."""

from __future__ import annotations

import asyncio
import os.path
from collections.abc import Mapping, Sequence
from typing import Any

from muster.domain.agent import Agent
from muster.domain.errors import Conflict, Invalid
from muster.domain.event import NewEvent
from muster.domain.guard import relative_path
from muster.domain.task import Task
from muster.domain.telling import text
from muster.service import shapes
from muster.service.desk import Desk
from muster.store import agent_tokens, events, keys, locks, projects
from muster.store.base import Tx
from muster.store.locks import Lock

MOST_HITS = 200
MOST_PATHS = 100
LOCK_MINUTES = 30.0
MOST_MINUTES = 240.0


class CommonGround(Desk):
    """Everything that agents of one project share."""

    async def search_context(self, agent_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Paths and lines of the task's base commit that hold some words, literally.

        Raises:
            Conflict: the attempt stands on no commit yet.
        """
        words = text(body, "query", 500).strip()
        if "\n" in words or "\r" in words:
            raise Invalid("the query has more than one line", hint="search for one line at a time")
        below = text(body, "below", 4096).strip("/") if body.get("below") else ""
        if below:
            relative_path(below)
        most = min(MOST_HITS, max(1, int(body.get("limit") or 50)))
        _, task = await self._store.read(agent_tokens.agent_at_work, agent_id)
        if not task.base_commit:
            raise Conflict("the workspace is not made yet", hint="try again in a second")
        return await asyncio.to_thread(self._search, task, task.base_commit, words, below, most)

    def _search(self, task: Task, commit: str, words: str, below: str, most: int) -> dict[str, Any]:
        found = self._own.workspaces.grep(task.project_id, commit, words, below, most)
        names = [
            path
            for path in self._own.workspaces.paths(task.project_id, commit)
            if words.lower() in path.lower() and (not below or locks.overlap(path, below))
        ]
        return {
            "commit": commit,
            "paths": [n.encode("utf-8", "replace").decode() for n in names[:most]],
            "lines": [{"path": h.path, "line": h.line, "text": h.text} for h in found.hits],
            "left_out": found.left_out or len(names) > most,
        }

    async def take_locks(
        self, agent_id: str, body: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Lock paths against the project's other agents: all of them, or none.

        Raises:
            Conflict: another agent holds one of them.
        """
        paths = _paths(body.get("paths"))
        minutes = float(body.get("minutes") or LOCK_MINUTES)
        if not 0 < minutes <= MOST_MINUTES:
            raise Invalid(
                f"minutes {minutes:g} is out of range", hint=f"above 0, at most {MOST_MINUTES:g}"
            )

        def write(tx: Tx) -> dict[str, Any]:
            agent, _ = agent_tokens.agent_at_work(tx, agent_id)
            until = tx.now + int(minutes * 60_000)
            return {"held": [_shape(lock) for lock in locks.take(tx, agent, paths, until)]}

        scoped = f"lock {agent_id} {key}" if key else None
        answer, _ = await self._store.write(keys.once, scoped, dict(body), write)
        return answer

    async def release_locks(self, agent_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Let go of these paths, or of all that this agent holds."""
        paths = _paths(body["paths"]) if body.get("paths") is not None else None

        def write(tx: Tx) -> dict[str, Any]:
            agent: Agent
            agent, _ = agent_tokens.agent_at_work(tx, agent_id)
            return {"released": locks.release(tx, agent, paths)}

        return await self._store.write(write)

    async def kept_from(self, agent_id: str, path: str) -> str | None:
        """Who else has locked a path that this agent is about to change, if somebody has."""
        agent, _ = await self._store.read(agent_tokens.agent_at_work, agent_id)
        own = _below(agent.workspace, path)
        if own is None:
            return None

        def look(tx: Tx) -> str | None:
            others = (lock for lock in locks.held(tx, agent.project_id))
            return next(
                (o.agent_id for o in others if o.agent_id != agent.id and locks.covers(o, own)),
                None,
            )

        holder = await self._store.read(look)
        if holder is not None:
            shown = own.encode("utf-8", "replace").decode().replace("\x00", "")[:1000]
            payload = {"path": shown, "by": holder}
            told = NewEvent("lock.kept", agent.id, payload, agent.project_id, agent.task_id)
            await self._store.write(events.append, told)
        return holder

    async def list_locks(self, project: str) -> dict[str, Any]:
        """The locks of a project that count now."""

        def read(tx: Tx) -> dict[str, Any]:
            found = locks.held(tx, projects.get_project(tx, project).id)
            return {"items": [_shape(lock) for lock in found], "next": None}

        return await self._store.read(read)

    async def locks_beside(self, agent_id: str) -> dict[str, Any]:
        """The locks of an agent's own project that count now."""
        agent, _ = await self._store.read(agent_tokens.agent_at_work, agent_id)
        return await self.list_locks(agent.project_id)


def _paths(given: Any) -> list[str]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise Invalid("'paths' must be a list of paths", hint='for example "paths": ["src/a.py"]')
    if len(given) > MOST_PATHS:
        raise Invalid(f"more than {MOST_PATHS} paths at once", hint="lock a folder instead")
    return list(dict.fromkeys(relative_path(_path(path)) for path in given))


def _below(workspace: str | None, path: str) -> str | None:
    """A path as the repository has it, or None where it lies elsewhere."""
    own = os.path.normpath(path)
    if not own.startswith("/"):
        return None if own.startswith("..") else own
    root = f"{workspace}/" if workspace else ""
    return own.removeprefix(root) if root and own.startswith(root) else None


def _path(given: Any) -> str:
    return text({"path": given}, "path", 4096).strip().rstrip("/")


def _shape(lock: Lock) -> dict[str, Any]:
    return {
        "path": lock.path,
        "agent_id": lock.agent_id,
        "task_id": lock.task_id,
        "until": shapes.moment(lock.until),
    }
