"""The manager's part of a prompt: the wish, its tools, and the rules for having others work.

What is told here binds nobody: what a manager may do is decided by its token, and whether the wish
is done by the verdicts on its workers.
"""

from __future__ import annotations

from muster.domain.errand import KEPT, MOST_WORKERS
from muster.domain.project import Project
from muster.domain.task import Task
from muster.knowledge.prompts import render


def managing(task: Task, project: Project) -> list[str]:
    """The parts of a manager's prompt, in Markdown."""
    wish = task.description.strip("\n")
    rules = render(
        "manager.rules",
        task=task,
        settings=project.settings,
        most_workers=MOST_WORKERS,
        share=f"{1 - KEPT:.0%}",
    )
    return [
        render("manager.head", task=task),
        render("manager.listens") if task.listens else f"## The wish\n\n{wish}",
        rules,
        render("manager.reach", task=task),
    ]
