"""What a person's answer does to a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from muster.domain.answers import after_answer, words_of
from muster.domain.errors import Invalid
from muster.domain.task import Stage, Task, TaskType, may_move
from muster.domain.verdict import OPTIONS, Answer, BreakpointKind


def task(feedback: Mapping[str, Any] | None = None) -> Task:
    return Task(
        "tsk_1", 9, "prj_1", "t", "t", TaskType.BUG, 5, Stage.WAITING, 1, 0, 0, feedback=feedback
    )


@pytest.mark.parametrize(
    ("kind", "answer", "stage"),
    [
        (BreakpointKind.MERGE, "merge", Stage.MERGING),
        (BreakpointKind.MERGE, "close", Stage.COMPLETED),
        (BreakpointKind.EVIDENCE, " Merge ", Stage.MERGING),
        (BreakpointKind.EXHAUSTED, "retry", Stage.QUEUED),
        (BreakpointKind.EXHAUSTED, "fail", Stage.FAILED),
        (BreakpointKind.CONFLICT, "cancel", Stage.CANCELLED),
        (BreakpointKind.START, "approve", Stage.QUEUED),
        (BreakpointKind.PROBLEM, "retry", Stage.QUEUED),
    ],
)
def test_an_answer_leads_to_its_stage(kind: BreakpointKind, answer: str, stage: Stage) -> None:
    consequence = after_answer(kind, answer, task())
    assert consequence.stage is stage
    assert consequence.reason
    assert consequence.fresh_tries is (answer == "retry")


@pytest.mark.parametrize("kind", [k for k in BreakpointKind if k not in {"question", "permission"}])
def test_every_option_of_every_question_is_an_allowed_move(kind: BreakpointKind) -> None:
    for answer in OPTIONS[kind]:
        assert may_move(Stage.WAITING, after_answer(kind, answer, task()).stage)


@pytest.mark.parametrize("kind", BreakpointKind)
def test_an_answer_that_the_question_does_not_take_is_refused_with_those_it_takes(
    kind: BreakpointKind,
) -> None:
    for answer in {"", "yes", *Answer} - {*OPTIONS[kind]}:
        with pytest.raises(Invalid) as refused:
            after_answer(kind, answer, task())
        assert all(option in refused.value.hint for option in OPTIONS[kind])


def test_a_retry_takes_the_note_and_the_earlier_feedback_along() -> None:
    feedback = {"failing": ["t::a"], "note": "an older note"}
    consequence = after_answer(BreakpointKind.MERGE, "retry", task(feedback), note="Use a set.")
    assert consequence.feedback == {"failing": ["t::a"], "note": "Use a set."}
    assert after_answer(BreakpointKind.MERGE, "retry", task(feedback)).feedback == {
        "failing": ["t::a"]
    }
    assert after_answer(BreakpointKind.MERGE, "retry", task()).feedback is None


def test_who_answered_and_why_is_in_the_reason() -> None:
    consequence = after_answer(
        BreakpointKind.EXHAUSTED, "fail", task(), note="Not worth it.", by="ada"
    )
    assert consequence.reason == "The task was given up by ada. Not worth it."


@pytest.mark.parametrize(
    ("answer", "note", "told"),
    [
        ("use port 80", "", "use port 80"),
        ("answer", " in the note ", "in the note"),
        ("Decline", "x", "decline"),
        ("", "n", "n"),
    ],
)
def test_an_agent_is_told_the_words_or_the_note(answer: str, note: str, told: str) -> None:
    assert words_of(answer, note) == told


def test_an_answer_to_an_agent_without_words_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        words_of("answer", " ")
    assert refused.value.hint
