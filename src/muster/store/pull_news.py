"""Verbs about what happened to a pull request at its forge: what is new is told once, as events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update

from muster.domain.event import NewEvent
from muster.domain.playbook import APPROVED, CHANGES, CLOSED, MERGED, OFFERED_AGAIN
from muster.domain.task import Stage
from muster.store.base import Tx
from muster.store.papers import REVIEWS, paper_of, put_paper
from muster.store.pulls import LOCAL, PullRow, pull_of
from muster.store.schema import pulls, tasks
from muster.store.tasks import get_task

_MOST = 50
_RESTS = frozenset({Stage.HANDED_ON, Stage.WAITING})


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody at the forge says of a pull request: `approve`, `request_changes`, `comment`.

    `comments` have `path`, `line` and `text`.
    """

    id: str
    by: str
    says: str
    head: str
    summary: str
    comments: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """A pull request as its forge has it now, with all that others say of it."""

    state: str
    head: str
    merged_commit: str | None = None
    opinions: Sequence[Opinion] = field(default_factory=tuple)


def to_look_at(tx: Tx, before: int) -> list[PullRow]:
    """Open pull requests at forges that nobody has looked at since a time, longest first.

    Those of tasks that have ended are let be, but for cancelled ones, whose are to be closed.
    """
    query = (
        select(pulls)
        .join(tasks, tasks.c.id == pulls.c.task_id)
        .where(pulls.c.state == "open", pulls.c.forge != LOCAL, pulls.c.looked_at < before)
        .where(tasks.c.stage.not_in([str(Stage.COMPLETED), str(Stage.FAILED)]))
        .order_by(pulls.c.looked_at)
        .limit(_MOST)
    )
    return [PullRow(**row._mapping) for row in tx.conn.execute(query)]


def put_off(tx: Tx, task_id: str) -> None:
    """Look at a pull request again when its turn comes, though nothing was seen of it now."""
    tx.conn.execute(update(pulls).where(pulls.c.task_id == task_id).values(looked_at=tx.now))


def observe(tx: Tx, task_id: str, seen: Seen) -> None:
    """Keep what was seen of a task's pull request, and tell what is new of it.

    A webhook and a look may both bring it: only what differs from what is kept is told.
    """
    row = pull_of(tx, task_id)
    if row is None or row.state != "open":
        return
    values: dict[str, Any] = {"looked_at": tx.now}
    if seen.head != row.head:
        values |= _moved_on(tx, row, seen)
    values["heard"] = _heard(tx, row, seen)
    if seen.state != "open":
        values |= _over(tx, row, seen)
    tx.conn.execute(update(pulls).where(pulls.c.task_id == task_id).values(**values))


def _moved_on(tx: Tx, row: PullRow, seen: Seen) -> dict[str, Any]:
    """Somebody else has pushed: while the task rests that is its work, checked at the merge."""
    task = get_task(tx, row.task_id)
    if task.stage not in _RESTS or seen.state != "open":
        return {}
    tx.conn.execute(update(tasks).where(tasks.c.id == task.id).values(result_commit=seen.head))
    _tell(tx, row, OFFERED_AGAIN, {"number": row.number, "head": seen.head, "by": "the forge"})
    return {"head": seen.head, "updated_at": tx.now}


def _heard(tx: Tx, row: PullRow, seen: Seen) -> dict[str, Any]:
    heard = dict(row.heard)
    for opinion in seen.opinions:
        if opinion.id in heard:
            continue
        heard[opinion.id] = opinion.says
        said = {"number": row.number, "head": opinion.head, "by": opinion.by}
        said["summary"] = opinion.summary[:500]
        if opinion.says == "approve":
            _tell(tx, row, APPROVED, said)
        elif opinion.says == "request_changes":
            _note(tx, row, opinion)
            _tell(tx, row, CHANGES, {**said, "comments": len(opinion.comments)})
    return heard


def _note(tx: Tx, row: PullRow, opinion: Opinion) -> None:
    """Keep what a person wants changed, for the coder to be told."""
    kept = paper_of(tx, row.task_id, REVIEWS) or {"items": []}
    task = get_task(tx, row.task_id)
    mine = {
        "verdict": "request_changes",
        "summary": opinion.summary,
        "comments": [{**comment, "severity": "must"} for comment in opinion.comments],
        "agent": None,
        "by": opinion.by,
        "head": opinion.head,
        "at": tx.now,
        "round": task.rounds,
    }
    put_paper(tx, row.task_id, REVIEWS, {"items": [*kept["items"], mine]})


def _over(tx: Tx, row: PullRow, seen: Seen) -> dict[str, Any]:
    if seen.state == "merged":
        _tell(tx, row, MERGED, {"number": row.number, "commit": seen.merged_commit})
    else:
        _tell(tx, row, CLOSED, {"number": row.number})
    return {"state": seen.state, "merged_commit": seen.merged_commit, "updated_at": tx.now}


def _tell(tx: Tx, row: PullRow, kind: str, said: Mapping[str, Any]) -> None:
    tx.emit(NewEvent(kind, row.task_id, said, row.project_id, row.task_id))
