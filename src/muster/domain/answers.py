"""What a person's answer to a breakpoint does to the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from muster.domain.errors import Invalid
from muster.domain.task import Stage, Task
from muster.domain.verdict import OFFERED_TOO, OPTIONS, Answer, BreakpointKind


@dataclass(frozen=True, slots=True)
class Consequence:
    """Where the task goes and what it takes along.

    `fresh_tries` sets the count of tries back to zero. `feedback` is what the next attempt is
    told; None leaves nothing to tell.
    """

    stage: Stage
    reason: str
    fresh_tries: bool = False
    feedback: Mapping[str, Any] | None = None


def after_answer(
    kind: BreakpointKind,
    answer: str,
    task: Task,
    *,
    note: str = "",
    by: str = "",
    options: Sequence[str] | None = None,
) -> Consequence:
    """The consequence of answering a breakpoint of `kind` about `task`.

    `options` are those that the question offers, where they are not all of its kind.

    Raises:
        Invalid: the question does not take this answer; the hint lists those it takes.
    """
    chosen = _chosen(kind, answer, task, options)
    who = f" by {by}" if by else ""
    match chosen:
        case Answer.MERGE:
            return Consequence(Stage.MERGING, f"Merge was chosen{who}.")
        case Answer.RETRY | Answer.ONE_TASK:
            told = _with_note(task, note)
            if chosen is Answer.ONE_TASK:
                told = {**(told or {}), "one_task": who.strip() or "by a person"}
            return Consequence(Stage.QUEUED, f"Another try was chosen{who}.", True, told)
        case Answer.APPROVE:
            return Consequence(Stage.QUEUED, f"The start was approved{who}.")
        case Answer.FAIL:
            return Consequence(Stage.FAILED, _said(f"The task was given up{who}.", note))
        case Answer.CANCEL:
            return Consequence(Stage.CANCELLED, _said(f"The task was cancelled{who}.", note))
        case Answer.CLOSE:
            return Consequence(
                Stage.COMPLETED, _said(f"The task was closed without merging{who}.", note)
            )
        case Answer.ANSWER | Answer.DECLINE:
            raise Invalid("an agent's question is answered in words", hint="see words_of")
        case Answer.ALLOW | Answer.ALLOW_SESSION | Answer.EDIT | Answer.DENY:
            raise Invalid("a request for permission moves no task", hint="see permitted")
        case _:
            assert_never(chosen)


def words_of(answer: str, note: str) -> str:
    """What an agent that asked is told: any words, or the note when `answer` stands for it.

    Raises:
        Invalid: there are no words.
    """
    words = answer.strip()
    if words.lower() == Answer.DECLINE:
        return str(Answer.DECLINE)
    if words.lower() in {"", Answer.ANSWER}:
        words = note.strip()
    if not words:
        raise Invalid(
            "the answer has no words",
            hint="give them as the answer, or as the note beside 'answer'; or 'decline'",
        )
    return words


def _chosen(kind: BreakpointKind, answer: str, task: Task, offered: Sequence[str] | None) -> Answer:
    options = [o for o in OPTIONS[kind] if offered is None or o in offered]
    options += [o for o in OFFERED_TOO.get(kind, ()) if o in (offered or ())]
    wanted = answer.strip().lower()
    for option in options:
        if option.value == wanted:
            return option
    raise Invalid(
        f"'{answer[:60]}' does not answer the question about {task.label}",
        hint=f"answer with one of: {', '.join(options)}",
        options=[str(option) for option in options],
    )


def _with_note(task: Task, note: str) -> Mapping[str, Any] | None:
    feedback = dict(task.feedback or {})
    feedback.pop("note", None)
    if note.strip():
        feedback["note"] = note
    return feedback or None


def _said(reason: str, note: str) -> str:
    return f"{reason} {note.strip()}".strip()
