"""What is shown of a task that events lead on: its pull request, its papers, what led where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from muster.domain.playbook import BEGIN, Act, straight_way
from muster.domain.task import TERMINAL, Task
from muster.service.shapes import moment
from muster.store import papers
from muster.store.base import Tx
from muster.store.pulls import PullRow, pull_of
from muster.store.routing import book_of, story
from muster.store.schema import tasks as task_rows
from muster.store.tasks import get_task, with_needs

_MOST_CAUSED = 100


def crew_of(tx: Tx, task: Task) -> dict[str, Any] | None:
    """The crew's part of a task's page; None for one that has one agent alone."""
    if task.step is None:
        return None
    pull, told = pull_of(tx, task.id), story(tx, task.id)
    return {
        "step": task.step,
        "rounds": task.rounds,
        "way": _way(tx, task, told),
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
            for one in told
        ],
        "cause": _short(get_task(tx, task.cause_id)) if task.cause_id else None,
        "caused": [_short(other) for other in _caused(tx, task)],
    }


def _way(tx: Tx, task: Task, told: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The steps that were taken, the one it stands at, and those ahead where all goes well."""
    book = book_of(tx, task)
    if book is None or task.step is None:
        return []
    led = [(book.follows(one["type"]), one["led_to"]) for one in told if one["state"] == "done"]
    # At a merge a person may be asked first.
    taken = [step for step, to in led if step is not None and (step == to or step == Act.MERGE)]
    over = task.stage in TERMINAL
    ahead = () if over else straight_way(book, task.step)
    now = [] if over or task.step == BEGIN else [task.step]
    done = [step for step in dict.fromkeys(taken) if step not in (*now, *ahead)]
    states = (("done", done), ("now", now), ("ahead", ahead))
    return [{"step": step, "state": state} for state, steps in states for step in steps]


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
