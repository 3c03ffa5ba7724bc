"""A model as a reader of a change: questions made before the work, answers that quote the change.

Pure. An answer counts only with words that stand in the change; what a model says without them, or
of itself, is not known. It is a note beside the evidence: it vetoes nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from muster.domain.verdict import Finding, Severity

MOST_SHOWN = 60_000
"""Characters of a change that a model is shown; what does not fit cannot be quoted either."""
_SHORTEST_QUOTE = 3
_MOST_QUOTE = 400
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_SIGNS = {"+": "+", "-": "-", " ": " ", "": " "}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a change: its number in the new file, of a removed one where it was."""

    number: int
    sign: str
    text: str


Shown = Mapping[str, Sequence[Line]]
"""The lines of a change that a model is shown, by path."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's answer to one question, with the words of the change that show it."""

    yes: bool
    quote: str
    path: str
    line: int


Ballot = Mapping[int, Answer]
"""What one reading gave, by the number of the question."""


def lines_of(patch: str) -> list[Line]:
    """The lines of a unified diff of one path; hunks are counted by their headers."""
    found: list[Line] = []
    old = new = old_left = new_left = 0
    for text in patch.split("\n"):
        if old_left > 0 or new_left > 0:
            sign = _SIGNS.get(text[:1])
            if sign is None:  # "\ No newline at end of file"
                continue
            found.append(Line(old if sign == "-" else new, sign, text[1:]))
            old, old_left = old + (sign != "+"), old_left - (sign != "+")
            new, new_left = new + (sign != "-"), new_left - (sign != "-")
        elif hunk := _HUNK.match(text):
            old, new = int(hunk[1]), int(hunk[3])
            old_left, new_left = int(hunk[2] or 1), int(hunk[4] or 1)
    return found


def shown_of(patches: Mapping[str, str], most: int = MOST_SHOWN) -> tuple[Shown, bool]:
    """What of a change a model is shown, smallest files first, and whether that is all of it."""
    shown: dict[str, list[Line]] = {}
    left, whole = most, True
    for path, patch in sorted(patches.items(), key=lambda item: (len(item[1]), item[0])):
        for line in lines_of(patch):
            left -= len(line.text) + 10
            if left < 0:
                return shown, False
            shown.setdefault(path, []).append(line)
    return shown, whole


def as_text(shown: Shown) -> str:
    """The change as a model reads it: each line with its number and what became of it."""
    parts = []
    for path, lines in shown.items():
        parts.append(f"File {path}")
        parts += [f"{line.number:6} {line.sign} {line.text}" for line in lines]
    return "\n".join(parts)


def found_at(answer: Answer, shown: Shown) -> int | None:
    """The line at which a quote stands in the change, nearest to the told one, if it does."""
    wanted = [" ".join(part.split()) for part in answer.quote.strip().split("\n")]
    if len("".join(wanted)) < _SHORTEST_QUOTE or len(answer.quote) > _MOST_QUOTE:
        return None
    lines = shown.get(answer.path, ())
    texts = [" ".join(line.text.split()) for line in lines]
    at = [
        lines[start].number
        for start in range(len(texts) - len(wanted) + 1)
        if all(part in texts[start + n] for n, part in enumerate(wanted))
    ]
    return min(at, key=lambda number: abs(number - answer.line), default=None)


def judged(
    questions: Sequence[str], ballots: Sequence[Ballot], shown: Shown, model: str, *, whole: bool
) -> Finding:
    """What the readings come to: for each question what most known answers say, with its quote."""
    answers, unknown = [], []
    for number, question in enumerate(questions, 1):
        known = [
            (answer, line)
            for ballot in ballots
            if (answer := ballot.get(number)) and (line := found_at(answer, shown)) is not None
        ]
        yes = sum(answer.yes for answer, _ in known)
        if yes * 2 == len(known):  # nobody, or as many for as against
            unknown.append(question)
            continue
        says = yes * 2 > len(known)
        answer, line = next(one for one in known if one[0].yes is says)
        answers.append(
            {
                "question": question,
                "yes": says,
                "quote": answer.quote.strip(),
                "path": answer.path,
                "line": line,
            }
        )
    if not answers:
        return unknown_for(f"none of its answers quotes the change ({model})")
    good = sum(bool(answer["yes"]) for answer in answers)
    bad = [str(answer["question"]) for answer in answers if not answer["yes"]]
    evidence = {
        "answers": answers,
        "yes": good,
        "no": len(bad),
        "model": model,
        "unknown": unknown,
        "votes": len(ballots),
        "whole": whole,
    }
    text = f"A model answers {good} of {len(questions)} questions about the change with yes"
    text += f", {len(bad)} with no: {' '.join(bad)}" if bad else ", none with no"
    return Finding("review.rubric", Severity.NOTE, f"{text}.", evidence)


def unknown_for(why: str) -> Finding:
    """That nothing is known from a review, and why; which speaks neither for nor against."""
    text = f"No model has reviewed it: {why}."
    return Finding("review.unknown", Severity.NOTE, text, {"why": why})
