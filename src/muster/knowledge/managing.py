"""The manager's part of a prompt: the wish, its tools, and the rules for having others work.

What is told here binds nobody: what a manager may do is decided by its token, and whether the wish
is done by the verdicts on its workers.
"""

from __future__ import annotations

from muster.domain.errand import KEPT, MOST_WORKERS
from muster.domain.project import Project
from muster.domain.task import Task
from muster.knowledge.prompts import Templates


def managing(task: Task, project: Project, words: Templates) -> list[str]:
    """The parts of a manager's prompt, in Markdown."""
    wish = task.description.strip("\n")
    rules = words.render(
        "manager.rules",
        task=task,
        settings=project.settings,
        most_workers=MOST_WORKERS,
        budget=f"{task.budget_usd or 0:.2f}",
        share=f"{1 - KEPT:.0%}",
    )
    return [
        words.render("manager.head", task=task),
        words.render("manager.listens") if task.listens else f"## The wish\n\n{wish}",
        rules,
        words.render("manager.reach", task=task),
    ]
