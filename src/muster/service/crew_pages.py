"""What is shown of a task that events lead on: its pull request, its papers, what led where."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from muster.domain.task import Task
from muster.service.shapes import moment
from muster.store import papers
from muster.store.base import Tx
from muster.store.pulls import PullRow, pull_of
from muster.store.routing import story
from muster.store.schema import tasks as task_rows
from muster.store.tasks import get_task, with_needs

_MOST_CAUSED = 100


def crew_of(tx: Tx, task: Task) -> dict[str, Any] | None:
    """The crew's part of a task's page; None for one that has one agent alone."""
    if task.step is None:
        return None
    pull = pull_of(tx, task.id)
    return {
        "step": task.step,
        "rounds": task.rounds,
        "pull": _pull(pull) if pull else None,
        "analysis": papers.paper_of(tx, task.id, papers.ANALYSIS),
        "reviews": (papers.paper_of(tx, task.id, papers.REVIEWS) or {"items": []})["items"],
        "deployment": papers.paper_of(tx, task.id, papers.DEPLOYMENT),
        "events": [
            {
                "event": one["rev"],
                "type": one["type"],
                "state": one["state"],
                "led_to": one["led_to"],
                "time": moment(one["at"]),
            }
            for one in story(tx, task.id)
        ],
        "cause": _short(get_task(tx, task.cause_id)) if task.cause_id else None,
        "caused": [_short(other) for other in _caused(tx, task)],
    }


def _pull(pull: PullRow) -> dict[str, Any]:
    return {
        **pull.facts(),
        "forge": pull.forge,
        "repo": pull.repo,
        "state": pull.state,
        "merged_commit": pull.merged_commit,
    }


def _short(task: Task) -> dict[str, Any]:
    return {"id": task.id, "label": task.label, "title": task.title, "status": str(task.status)}


def _caused(tx: Tx, task: Task) -> list[Task]:
    """The tasks that were made because of this one."""
    query = select(task_rows).where(task_rows.c.cause_id == task.id)
    rows = tx.conn.execute(query.order_by(task_rows.c.number).limit(_MOST_CAUSED)).all()
    return with_needs(tx, rows)
