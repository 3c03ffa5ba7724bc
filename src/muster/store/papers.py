"""Verbs about papers: what is written about a task beside its row, one of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from muster.store.base import Tx
from muster.store.schema import papers

PLAN, RUBRIC, REVIEW, TESTS = "plan", "rubric", "review", "tests"
"""The kinds: how the task was planned, what its work is asked, what was answered to that, and
whether a person wants acceptance tests for what comes of it."""

BOOK, ANALYSIS, REVIEWS, DEPLOYMENT, ABOUT = "book", "analysis", "reviews", "deployment", "about"
REPOS = "repos"
"""Those of a playbook: its table where it is none that comes along, what the starter found, what
reviewers said (`items`), what was deployed, what an audit is about, and which projects the task
spans (`items`)."""

_ONE = select(papers.c.content).where(
    papers.c.task_id == bindparam("task"), papers.c.kind == bindparam("of_kind")
)


def put_paper(tx: Tx, task_id: str, kind: str, content: Mapping[str, Any]) -> None:
    """Write one; it takes the place of the one before."""
    same = (papers.c.task_id == task_id, papers.c.kind == kind)
    tx.conn.execute(delete(papers).where(*same))
    row = {"task_id": task_id, "kind": kind, "content": dict(content), "created_at": tx.now}
    tx.conn.execute(insert(papers), row)


def paper_of(tx: Tx, task_id: str, kind: str) -> dict[str, Any] | None:
    """The one of this kind, if there is one."""
    found = tx.conn.execute(_ONE, {"task": task_id, "of_kind": kind}).scalar_one_or_none()
    return None if found is None else dict(found)
