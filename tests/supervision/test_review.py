"""What the answers of a reading model come to: only those that quote the change count."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from muster.domain.verdict import Severity
from muster.supervision.review import (
    Answer,
    as_text,
    found_at,
    judged,
    lines_of,
    shown_of,
)
from muster.supervision.review_form import Rubric, review_of

PATCH = """\
diff --git a/calc.py b/calc.py
--- a/calc.py
+++ b/calc.py
@@ -1,4 +1,5 @@
 def add(a, b):
-    return a + b
+    total = a + b
+    return total

 def sub(a, b):
\\ No newline at end of file
@@ -20,0 +22 @@ def sub(a, b):
+--- a line that looks like a header
"""
SHOWN, _ = shown_of({"calc.py": PATCH})
QUESTIONS = ("Is the total kept?", "Is there a test?")


def yes(quote: str, line: int = 3, path: str = "calc.py") -> Answer:
    return Answer(True, quote, path, line)


def no(quote: str, line: int = 3) -> Answer:
    return Answer(False, quote, "calc.py", line)


def test_each_line_of_a_change_has_its_number() -> None:
    told = [(line.number, line.sign, line.text) for line in lines_of(PATCH)]
    assert told == [
        (1, " ", "def add(a, b):"),
        (2, "-", "    return a + b"),
        (2, "+", "    total = a + b"),
        (3, "+", "    return total"),
        (4, " ", ""),
        (5, " ", "def sub(a, b):"),
        (22, "+", "--- a line that looks like a header"),
    ]
    assert "     3 +     return total" in as_text(SHOWN)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (yes("return total", 3), 3),
        (yes("return   total", 99), 3),
        (yes("total", 2), 2),
        (yes("total", 3), 3),
        (yes("return a + b"), 2),
        (yes("total = a + b\n    return total"), 2),
        (yes("it returns the total"), None),
        (yes("return total", 3, "other.py"), None),
        (yes(""), None),
        (yes("a"), None),
        (yes("x" * 500), None),
        (yes("return total\ndef sub(a, b):"), None),
    ],
)
def test_a_quote_counts_where_it_stands_in_the_change(answer: Answer, line: int | None) -> None:
    assert found_at(answer, SHOWN) == line


def test_the_finding_is_a_note_with_every_answer_that_is_known() -> None:
    finding = judged(
        QUESTIONS, [{1: yes("return total", 9), 2: no("made up")}], SHOWN, "m", whole=True
    )
    assert (finding.code, finding.severity) == ("review.rubric", Severity.NOTE)
    assert finding.evidence["answers"] == [
        {
            "question": QUESTIONS[0],
            "yes": True,
            "quote": "return total",
            "path": "calc.py",
            "line": 3,
        }
    ]
    assert (finding.evidence["yes"], finding.evidence["no"]) == (1, 0)
    assert finding.evidence["unknown"] == [QUESTIONS[1]]


def test_a_no_is_told_and_vetoes_nothing() -> None:
    finding = judged(QUESTIONS, [{1: no("return total"), 2: no("def add")}], SHOWN, "m", whole=True)
    assert (finding.severity, finding.evidence["no"]) == (Severity.NOTE, 2)
    assert QUESTIONS[0] in finding.text


def test_without_a_single_quote_nothing_is_known() -> None:
    finding = judged(QUESTIONS, [{1: yes("made up"), 2: yes("as well")}], SHOWN, "m", whole=True)
    assert (finding.code, finding.severity) == ("review.unknown", Severity.NOTE)
    assert "quotes the change" in finding.evidence["why"]


@pytest.mark.parametrize(
    ("votes", "known"),
    [
        ([yes("total"), yes("total"), no("total")], [True]),
        ([no("total"), no("total"), yes("total")], [False]),
        ([yes("total"), no("total")], []),
        ([no("made up"), no("made up"), yes("total")], [True]),
    ],
)
def test_most_of_the_votes_that_quote_count(votes: list[Answer], known: list[bool]) -> None:
    finding = judged(QUESTIONS[:1], [{1: vote} for vote in votes], SHOWN, "m", whole=True)
    assert [answer["yes"] for answer in finding.evidence.get("answers", [])] == known


def test_what_a_model_is_not_shown_it_cannot_quote() -> None:
    shown, whole = shown_of({"a.py": PATCH, "big.py": PATCH * 50}, most=300)
    assert not whole
    assert found_at(yes("return total", path="a.py"), shown) == 3
    assert found_at(Answer(True, "a line that looks", "big.py", 22), shown) is None


@pytest.mark.parametrize(
    "questions",
    [
        ["Is it done?"],
        ["Is it done?", "It is done."],
        ["Is it done?", "is it  done?"],
        ["a?", "b?"],
    ],
)
def test_a_rubric_is_several_questions(questions: list[str]) -> None:
    with pytest.raises(ValidationError):
        Rubric(questions=questions)


@pytest.mark.parametrize("numbers", [[1], [1, 1], [1, 2, 3], [0, 1]])
def test_each_question_is_answered_once(numbers: list[int]) -> None:
    answers = [{"n": n, "yes": True, "quote": "", "path": "", "line": 0} for n in numbers]
    with pytest.raises(ValidationError):
        review_of(2).model_validate_json(json.dumps({"answers": answers}))
