"""A question for a person as the pages show it: its words, its answers, its evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from muster.domain.verdict import Answer, BreakpointKind
from muster.web.counter import Row
from muster.web.phrases import humane, plain, seconds_since, visible


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: what its button says, what it does, and how it is drawn."""

    answer: str
    label: str
    does: str
    primary: bool = False
    danger: bool = False
    key: str = ""


KINDS: Mapping[str, tuple[str, str, str]] = {
    BreakpointKind.MERGE: ("Ready to merge", "rev", "review"),
    BreakpointKind.EVIDENCE: ("Evidence is missing", "you", "needs_you"),
    BreakpointKind.EXHAUSTED: ("Out of attempts", "bad", "failed"),
    BreakpointKind.CONFLICT: ("Merge conflict", "you", "needs_you"),
    BreakpointKind.CHECKOUT: ("Your checkout is in the way", "you", "needs_you"),
    BreakpointKind.START: ("May it start?", "you", "needs_you"),
    BreakpointKind.PROBLEM: ("Something is in the way", "bad", "failed"),
    BreakpointKind.QUESTION: ("The agent asks", "you", "needs_you"),
    BreakpointKind.PERMISSION: ("May the agent?", "you", "needs_you"),
    BreakpointKind.RULE: ("A rule asks", "you", "needs_you"),
}
"""For each kind of question: its words, its tone and its shape."""

_LABELS: Mapping[str, tuple[str, str]] = {
    Answer.MERGE: ("Merge", "merges the work into the project’s branch"),
    Answer.RETRY: ("Try again", "starts another attempt, with your note in its prompt"),
    Answer.FAIL: ("Give up", "marks the task failed; its branch is kept"),
    Answer.CANCEL: ("Cancel task", "ends the task; its branch is kept"),
    Answer.ONE_TASK: ("Plan as one task", "plans it without the model, in your own words"),
    Answer.APPROVE: ("Start", "lets the task start as soon as a slot is free"),
    Answer.CLOSE: ("Close", "ends the task as done without a merge; its branch is kept"),
    Answer.ANSWER: ("Answer", "gives the agent your note as the answer; it goes on"),
    Answer.DECLINE: ("Decline", "tells the agent to decide by itself"),
    Answer.ALLOW: ("Allow", "lets the agent do this, once"),
    Answer.ALLOW_SESSION: ("Allow from now on", "lets the agent do this until its program ends"),
    Answer.EDIT: ("Allow as changed", "lets the agent do this with the inputs as you changed them"),
    Answer.DENY: ("Deny", "keeps the agent from it; it is told your note and goes on"),
}
_NOTES: Mapping[str, str] = {
    BreakpointKind.QUESTION: "the answer to the agent",
    BreakpointKind.PERMISSION: "optional; told to the agent if you deny it",
}
_OTHER_WORDS: Mapping[tuple[str, str], str] = {
    (BreakpointKind.EVIDENCE, Answer.MERGE): "Merge anyway",
    (BreakpointKind.CONFLICT, Answer.MERGE): "Merge again",
    (BreakpointKind.CHECKOUT, Answer.MERGE): "Merge now",
    (BreakpointKind.RULE, Answer.MERGE): "Merge anyway",
}
_PRIMARY = {
    (BreakpointKind.MERGE, Answer.MERGE),
    (BreakpointKind.START, Answer.APPROVE),
    (BreakpointKind.CHECKOUT, Answer.MERGE),
    (BreakpointKind.CONFLICT, Answer.RETRY),
    (BreakpointKind.EXHAUSTED, Answer.RETRY),
    (BreakpointKind.PROBLEM, Answer.RETRY),
    (BreakpointKind.QUESTION, Answer.ANSWER),
    (BreakpointKind.PERMISSION, Answer.ALLOW),
}
_SLOW = {Answer.EDIT, Answer.ALLOW_SESSION}
"""Answers that a small card does not offer: they take more than a look."""

_DANGER = {Answer.FAIL, Answer.CANCEL, Answer.CLOSE}


def choices(kind: str, options: Iterable[str]) -> list[Choice]:
    """The answers in the order given; `A` takes the first, `D` opens the first that ends work."""
    found = []
    denied = False
    for n, answer in enumerate(options):
        label, does = _LABELS.get(answer, (humane(answer), "answers the question this way"))
        danger = answer in _DANGER
        denies = danger or answer == Answer.DENY
        key = "A" if n == 0 else "D" if denies and not denied else ""
        denied = denied or key == "D"
        found.append(
            Choice(
                answer=answer,
                label=_OTHER_WORDS.get((kind, answer), label),
                does=does,
                primary=(kind, answer) in _PRIMARY,
                danger=danger,
                key=key,
            )
        )
    return found


def weight(ask: Row, at: datetime) -> tuple[float, float, str]:
    """By what open questions are ordered: work held back times age; then age."""
    waited = seconds_since(ask["created_at"], at)
    return (ask["holds_back"] * waited, waited, ask["id"])


def by_weight(asks: Iterable[Row], at: datetime) -> list[Row]:
    """The questions that unblock most, first."""
    return sorted(asks, key=lambda ask: weight(ask, at), reverse=True)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a question stands on, sorted by how it is drawn."""

    facts: list[tuple[str, str]]
    lists: list[tuple[str, list[str]]]
    texts: list[tuple[str, str]]
    paths: list[Row]


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return visible(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def evidence(raw: Mapping[str, Any]) -> Evidence:
    """Sort any evidence: short values, lists of words, long texts, and the sides of a conflict."""
    found = Evidence([], [], [], [])
    for key, value in raw.items():
        if key == "paths" and isinstance(value, list) and value and isinstance(value[0], dict):
            found.paths.extend(value)
        elif isinstance(value, list | tuple):
            found.lists.append((humane(key), [_as_text(v) for v in value][:50]))
        elif value not in (None, "", {}):
            text = _as_text(value)
            long = len(text) > 80 or "\n" in text
            (found.texts if long else found.facts).append((humane(key), text))
    return found


# What a question repeats of its task's newest verdict, which the page shows by itself.
_OF_VERDICT = {"verdict", "findings", "reasons", "rules"}
_OF_MUSTER = {"request", "input"}


def _as_written(given: Mapping[str, Any]) -> str:
    """Inputs as JSON to be changed by hand; what does not show as itself is escaped."""
    text = json.dumps(given, indent=2, ensure_ascii=False)
    return text if visible(text) == text else json.dumps(given, indent=2)


def _why(ask: Row) -> str:
    """Why it is asked, in a few words for a small card."""
    given = ask["evidence"].get("reasons") or ()
    reasons = [plain(r).rstrip(".") for r in given if isinstance(r, str)]
    return f"{'. '.join(reasons)}." if reasons else ""


def view(ask: Row) -> Row:
    """Everything that a template needs of one question."""
    own = {k: v for k, v in ask["evidence"].items() if k not in _OF_VERDICT}
    inputs = None
    if ask["kind"] == BreakpointKind.PERMISSION:
        given = own.get("input") or {}
        own = {k: v for k, v in own.items() if k not in _OF_MUSTER} | given
        if Answer.EDIT in ask["options"]:
            inputs = _as_written(given)
    word, tone, shape = KINDS.get(ask["kind"], (humane(ask["kind"]), "you", "needs_you"))
    answers = choices(ask["kind"], ask["options"])
    return {
        **ask,
        "word": word,
        "tone": tone,
        "shape": shape,
        "question": plain(ask["question"]),
        "task_title": plain(ask["task_title"]),
        "choices": answers,
        "first": [c for c in answers if not c.danger and c.answer not in _SLOW][:2] or answers[:1],
        "proof": evidence(own),
        "inputs": inputs,
        "note_is": _NOTES.get(ask["kind"], "optional; the next attempt reads it"),
        "why": _why(ask),
        "answered": _LABELS.get(ask["answer"] or "", (humane(ask["answer"] or ""), ""))[0],
    }
