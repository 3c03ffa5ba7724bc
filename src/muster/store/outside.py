"""Verbs about facts from outside: each becomes an event, which may lead a task on."""

from __future__ import annotations

from muster.domain.errors import Invalid
from muster.domain.event import NewEvent
from muster.domain.outside import OutsideFact
from muster.store import projects, tasks
from muster.store.base import Tx


def tell(tx: Tx, fact: OutsideFact) -> int:
    """Append a fact; the number of its event.

    Raises:
        NotFound: there is no such task or project.
        Invalid: the task is another project's.
    """
    task = tasks.get_task(tx, fact.task) if fact.task else None
    project_id = projects.get_project(tx, fact.project).id if fact.project else None
    if task is not None:
        if project_id not in {None, task.project_id}:
            raise Invalid(
                f"{task.label} is no task of '{fact.project}'", hint="name the task alone"
            )
        project_id = task.project_id
    subject = fact.subject or (task.id if task else "outside")
    new = NewEvent(fact.type, subject, fact.payload, project_id, task.id if task else None)
    # A playbook may lead on from a type of anybody's own.
    tx.moved = tx.emit(new)
    return tx.moved
