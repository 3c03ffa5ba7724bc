"""The prompt for an agent: the task, the rules it is judged by, why it was refused before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from muster.domain.acceptance import Shown
from muster.domain.plain import plain, plain_line
from muster.domain.project import Project
from muster.domain.task import Task
from muster.knowledge.acceptance import judged_by, writing_tests
from muster.knowledge.managing import managing
from muster.knowledge.prompts import render
from muster.knowledge.room import Piece, Room, end_of, whole_lines

BUDGET_TOKENS = 16_000
_EVIDENCE = 0.5
"""The share of the budget that evidence has at most; what it leaves is for what comes after it."""
_MOST_FINDINGS = 20


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
) -> Brief:
    """The prompt for the next attempt at `task`, in Markdown.

    The person's own words (description, note) and the rules are never cut, whatever their length.
    The rest has about `budget_tokens` together, and the prompt says where it is cut: first what
    supervision said of the last attempt (`feedback`: `{findings, failing, tails, instructions,
    note}`), then what may be told of the tests by which it is judged (`acceptance`).
    """
    room = Room.of_tokens(budget_tokens)
    again = _refused(feedback, room) if feedback else []
    parts = [*_parts(task, project, acceptance, room), *again]
    text = "\n\n".join(part for part in parts if part.strip()) + "\n"
    return Brief(text.encode("utf-8", "replace").decode("utf-8"), room.left_out)


def _parts(task: Task, project: Project, acceptance: Shown | None, room: Room) -> list[str]:
    if task.manages:
        return managing(task, project)
    facts = {"task": task, "settings": project.settings}
    working, reach = render("coding.working", **facts), render("coding.reach", **facts)
    if task.writes_tests:
        return [*writing_tests(task, project), working, reach]
    return [
        render("coding.head", **facts),
        task.description.strip("\n"),
        working,
        render("coding.judged", **facts),
        judged_by(acceptance, room) if acceptance else "",
        reach,
    ]


# --- the last attempt -----------------------------------------------------------------------------


def _refused(feedback: Mapping[str, Any], room: Room) -> list[str]:
    parts = []
    if note := str(feedback.get("note") or "").strip():
        parts.append(f"## What the person says about the last attempt\n\n{note}")
    found = [
        *_findings(feedback.get("findings"), room),
        *_instructions(feedback.get("instructions")),
        *_evidence(feedback, room),
    ]
    if found:
        parts += ["## The last attempt was not accepted", *found]
        parts.append("Look at the files first: they may hold changes of that attempt.")
    return parts


def _findings(found: object, room: Room) -> list[str]:
    texts = [plain_line(str(item.get("text", "")), 600) for item in _mappings(found)]
    texts = [f"- {text}" for text in texts if text]
    if not texts:
        return []
    left_out = texts[_MOST_FINDINGS:]
    if left_out:
        room.left_out["findings"] = len("\n".join(left_out))
    more = [f"- [{len(left_out)} more findings left out]"] if left_out else []
    return [render("again.findings", findings="\n".join([*texts[:_MOST_FINDINGS], *more]))]


def _instructions(said: object) -> list[str]:
    text = plain_line(str(said or ""), 4000)
    return [text] if text else []


def _evidence(feedback: Mapping[str, Any], room: Room) -> list[str]:
    """What failed and the ends of outputs: data of strangers, in fences, within the room."""
    names = [plain_line(str(name), 300) for name in _sequence(feedback.get("failing"))]
    own = Room(int(room.left * _EVIDENCE), room.left_out)
    before = own.left
    parts = []
    if names:
        piece = Piece("failing tests", "Failing tests:", "\n".join(names), whole_lines)
        parts += own.take([piece], share=1 / 3)
    tails = [
        (plain_line(str(item.get("name", "")), 60), plain(str(item.get("tail", ""))).strip("\n"))
        for item in _mappings(feedback.get("tails"))
    ]
    parts += own.take(
        [
            Piece(f"output of {name}", f"The end of the output of the run '{name}':", tail, end_of)
            for name, tail in tails
        ]
    )
    room.left -= before - own.left
    return [render("again.data"), *parts] if parts else []


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in _sequence(value) if isinstance(item, Mapping)]
