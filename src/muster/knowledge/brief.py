"""The prompt for an agent: the task, the rules it is judged by, why it was refused before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from muster.domain.acceptance import Shown
from muster.domain.project import Project
from muster.domain.task import Task
from muster.knowledge.acceptance import judged_by, writing_tests
from muster.knowledge.again import refused
from muster.knowledge.managing import managing
from muster.knowledge.planned import plan_piece
from muster.knowledge.prompts import BUILT_IN, Templates
from muster.knowledge.room import Room

BUDGET_TOKENS = 16_000


@dataclass(frozen=True, slots=True)
class Brief:
    """A prompt, and how many characters were left out of which part of it."""

    text: str
    left_out: Mapping[str, int] = field(default_factory=dict)


def brief(
    task: Task,
    project: Project,
    feedback: Mapping[str, Any] | None = None,
    *,
    budget_tokens: int = BUDGET_TOKENS,
    acceptance: Shown | None = None,
    analysis: Mapping[str, Any] | None = None,
    words: Templates = BUILT_IN,
) -> Brief:
    """The prompt for the next attempt at `task`, in Markdown.

    The person's own words (description, note) and the rules are never cut, whatever their length.
    The rest has about `budget_tokens` together, and the prompt says where it is cut: first what was
    said of the last attempt (`feedback`: `{reviews, findings, failing, tails, instructions,
    note}`), then the plan of a starter (`analysis`, its report), then what may be told of the tests
    by which it is judged (`acceptance`).
    """
    room = Room.of_tokens(budget_tokens)
    again = refused(feedback, room, words) if feedback else []
    plan = _plan(analysis, room, words) if analysis else []
    return finished([*_parts(task, project, acceptance, room, words, plan), *again], room)


def finished(parts: Sequence[str], room: Room) -> Brief:
    """The prompt of these parts, in what UTF-8 can carry."""
    text = "\n\n".join(part for part in parts if part.strip()) + "\n"
    return Brief(text.encode("utf-8", "replace").decode("utf-8"), room.left_out)


def _plan(analysis: Mapping[str, Any], room: Room, words: Templates) -> list[str]:
    pieces = [plan_piece(analysis, "The analysis and plan:")]
    return [words.render("coding.plan"), *room.take(pieces, share=0.5)]


def _parts(
    task: Task,
    project: Project,
    acceptance: Shown | None,
    room: Room,
    words: Templates,
    plan: list[str],
) -> list[str]:
    if task.manages:
        return managing(task, project, words)
    facts = {"task": task, "settings": project.settings}
    working, reach = (words.render(name, **facts) for name in ("coding.working", "coding.reach"))
    if task.writes_tests:
        return [*writing_tests(task, project, words), working, reach]
    return [
        words.render("coding.head", **facts),
        task.description.strip("\n"),
        *plan,
        working,
        words.render("coding.judged", owes=words.render(f"type.{task.type}"), **facts),
        judged_by(acceptance, room, words) if acceptance else "",
        reach,
    ]
