"""What is said of acceptance tests: to who writes them, and to who is judged by them."""

from __future__ import annotations

from muster.domain.acceptance import Shown
from muster.domain.plain import plain, plain_line
from muster.domain.project import Project
from muster.domain.task import Task
from muster.knowledge.prompts import Templates
from muster.knowledge.room import Piece, Room, beginning_of


def writing_tests(task: Task, project: Project, words: Templates) -> list[str]:
    """The prompt of who writes tests before the work is begun: the wish, and what is fit."""
    settings = project.settings
    return [
        words.render("coding.head", task=task),
        words.render("acceptance.rules", settings=settings),
        words.render("acceptance.judged", settings=settings),
        "## What is asked for",
        task.description.strip("\n"),
    ]


def judged_by(shown: Shown, room: Room, words: Templates) -> str:
    """What a coder is told of the acceptance tests; the files that it may see have what room is."""
    pieces = [
        Piece(f"acceptance {path}", f"`{plain_line(path)}`:", plain(text).rstrip(), beginning_of)
        for path, text in shown.files
    ]
    return "\n\n".join([words.render("coding.acceptance", shown=shown), *room.take(pieces)])
