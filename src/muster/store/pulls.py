"""Verbs about pull requests: one for each task whose work is offered before it is merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from muster.domain.event import NewEvent
from muster.domain.playbook import OFFERED, OFFERED_AGAIN
from muster.domain.task import Task
from muster.store.base import Tx
from muster.store.moves import Move, move
from muster.store.schema import pulls

LOCAL = "local"
"""The forge of pull requests that muster alone keeps."""

_BY_TASK = select(pulls).where(pulls.c.task_id == bindparam("task"))
_LAST = select(func.coalesce(func.max(pulls.c.number), 0)).where(
    pulls.c.forge == LOCAL, pulls.c.repo == bindparam("in_repo")
)
_CHANGE = update(pulls).where(pulls.c.task_id == bindparam("task"))


@dataclass(frozen=True, slots=True)
class PullRow:
    """A pull request as the store knows it. Times are epoch milliseconds.

    `head` is the commit that muster last offered or saw, `heard` the ids of the reviews that were
    heard of, by what became of them. `looked_at` is when the forge was last asked, 0 for look now.
    """

    task_id: str
    project_id: str
    forge: str
    repo: str
    number: int
    url: str
    branch: str
    base: str
    head: str
    state: str
    created_at: int
    updated_at: int
    looked_at: int
    merged_commit: str | None = None
    heard: Mapping[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """As prompts and doors tell it."""
        return {
            "number": self.number,
            "url": self.url,
            "branch": self.branch,
            "base": self.base,
            "head": self.head,
        }


@dataclass(frozen=True, slots=True)
class Offer:
    """Work that is at the forge now; `number` None where the store is to give one."""

    forge: str
    repo: str
    branch: str
    base: str
    head: str
    number: int | None = None
    url: str = ""


def pull_of(tx: Tx, task_id: str) -> PullRow | None:
    """The pull request of a task, once its work was offered."""
    row = tx.conn.execute(_BY_TASK, {"task": task_id}).first()
    return PullRow(**row._mapping) if row else None


def offered(tx: Tx, step: Move, offer: Offer) -> Task:
    """Hand a task on whose work is offered now: anew, or once more after changes.

    Raises:
        Stale: the claim has passed on; then nothing is told.
    """
    task = move(tx, step)
    known = pull_of(tx, task.id)
    number = offer.number or (known.number if known else _next(tx, offer.repo))
    values: dict[str, Any] = {"head": offer.head, "state": "open", "url": offer.url}
    values |= {"number": number, "updated_at": tx.now, "looked_at": tx.now}
    if known and known.number != number:  # that one was closed
        values["heard"] = {}
    if known:
        tx.conn.execute(_CHANGE, {**values, "task": task.id})
    else:
        tx.conn.execute(
            insert(pulls),
            {
                "task_id": task.id,
                "project_id": task.project_id,
                "forge": offer.forge,
                "repo": offer.repo,
                "branch": offer.branch,
                "base": offer.base,
                "heard": {},
                "created_at": tx.now,
                **values,
            },
        )
    said = {"number": number, "url": offer.url, "branch": offer.branch, "head": offer.head}
    kind = OFFERED_AGAIN if known else OFFERED
    tx.emit(NewEvent(kind, task.id, said, task.project_id, task.id, task.came_by))
    return task


def _next(tx: Tx, repo: str) -> int:
    return int(tx.conn.execute(_LAST, {"in_repo": repo}).scalar_one()) + 1


def note_merged(tx: Tx, task_id: str, commit: str) -> PullRow | None:
    """Say that a task's pull request is merged."""
    values = {"state": "merged", "merged_commit": commit, "updated_at": tx.now}
    tx.conn.execute(_CHANGE, {**values, "task": task_id})
    return pull_of(tx, task_id)
