"""Verbs about what a forge hints at: a pull request that has moved, and whose it is."""

from __future__ import annotations

from sqlalchemy import func, select, update

from muster.domain.task import Task
from muster.store.base import Tx
from muster.store.schema import pulls
from muster.store.tasks import get_task


def look_soon(tx: Tx, forge: str, repo: str, number: int | None) -> int:
    """Have an open pull request looked at before others, or all of a repository; how many."""
    wanted = [pulls.c.forge == forge, func.lower(pulls.c.repo) == repo.lower()]
    if number is not None:
        wanted.append(pulls.c.number == number)
    change = update(pulls).where(*wanted, pulls.c.state == "open").values(looked_at=0)
    return int(tx.conn.execute(change).rowcount)


def task_of_pull(tx: Tx, forge: str, repo: str, number: int) -> Task | None:
    """The task whose work a pull request offers; None of one that a person made."""
    found = tx.conn.execute(
        select(pulls.c.task_id).where(
            pulls.c.forge == forge,
            func.lower(pulls.c.repo) == repo.lower(),
            pulls.c.number == number,
        )
    ).scalar_one_or_none()
    return get_task(tx, found) if found is not None else None
