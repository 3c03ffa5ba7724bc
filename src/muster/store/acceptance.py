"""Verbs about acceptance tests: the task that writes them, and those that are judged by them."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import bindparam, delete, select, update

from muster.domain.event import NewEvent
from muster.domain.task import ACCEPTANCE, Stage, Task, TaskType
from muster.domain.verdict import Verdict
from muster.failpoint import failpoint
from muster.store import judgements
from muster.store.base import Tx
from muster.store.papers import TESTS, paper_of, put_paper
from muster.store.schema import task_needs, tasks
from muster.store.tasks import NewTask, add_needs, create_task, get_task, with_needs

_JUDGED = select(tasks).where(tasks.c.acceptance_id == bindparam("author")).order_by(tasks.c.number)
_LONGEST_TITLE = 200


def create_with_author(tx: Tx, new: NewTask, agent: str | None) -> Task:
    """Accept a task, and with it the one whose `agent` writes its acceptance tests first.

    That one waits for what the task waits for, so that it begins where the task will, and is paid
    from the same purse. Without an agent the task is accepted alone.
    """
    coder = create_task(tx, new)
    if agent is None:
        return coder
    failpoint("acceptance.half_made")
    title = f"Acceptance tests for {coder.label}: {new.title}"[:_LONGEST_TITLE]
    author = create_task(
        tx,
        replace(
            new,
            title=title,
            type=TaskType.TEST,
            agent=agent,
            playbook=ACCEPTANCE,
            model=new.model if agent == new.agent else None,
            paths=(),
            errand=None,
            fork=None,
            step=None,
        ),
    )
    tx.conn.execute(update(tasks).where(tasks.c.id == coder.id).values(acceptance_id=author.id))
    return add_needs(tx, coder.id, (author.id,))


def note_wanted(tx: Tx, task_id: str, wanted: bool | None) -> None:
    """Keep what a person said of acceptance tests, for the tasks that may come of this one."""
    if wanted is not None:
        put_paper(tx, task_id, TESTS, {"wanted": wanted})


def wanted_for(tx: Tx, task_id: str) -> bool | None:
    """What a person said of acceptance tests for what comes of a task; None for nothing."""
    paper = paper_of(tx, task_id, TESTS)
    return None if paper is None else bool(paper["wanted"])


def author_of(tx: Tx, task: Task) -> Task | None:
    """The task that writes a task's acceptance tests."""
    return get_task(tx, task.acceptance_id) if task.acceptance_id else None


def written_for(tx: Tx, author: Task) -> list[Task]:
    """The tasks that are judged by what this one writes: the first, and forks of it."""
    if not author.writes_tests:
        return []
    return with_needs(tx, tx.conn.execute(_JUDGED, {"author": author.id}).all())


def last_verdict(tx: Tx, author: Task) -> Verdict | None:
    """What was said of the tests when its task was completed; None before that."""
    if author.stage is not Stage.COMPLETED:
        return None
    found = judgements.verdicts_of(tx, author.id)
    return found[-1] if found else None


def let_go(tx: Tx, coder: Task, author: Task) -> Task:
    """Let a task no longer wait for tests that will not come; it still owes them."""
    tx.conn.execute(
        delete(task_needs).where(
            task_needs.c.task_id == coder.id, task_needs.c.needs_id == author.id
        )
    )
    needs = [n for n in coder.needs if n != author.id]
    rev = tx.emit(NewEvent("task.blocked", coder.id, {"needs": needs}, coder.project_id, coder.id))
    tx.conn.execute(update(tasks).where(tasks.c.id == coder.id).values(rev=rev, updated_at=tx.now))
    return get_task(tx, coder.id)
