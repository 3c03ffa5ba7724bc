"""What is said of the last attempt: why it was refused, what reviewers ask for, what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muster.domain.plain import plain, plain_line
from muster.knowledge.prompts import BUILT_IN, Templates
from muster.knowledge.room import Piece, Room, end_of, whole_lines

_EVIDENCE = 0.5
"""The share of the budget that evidence has at most; what it leaves is for what comes after it."""
_REVIEWS = 0.4
"""The share that the notes of reviewers have at most."""
_MOST_FINDINGS = 20
_MOST_REVIEWS = 10
_STRONGEST_FIRST = ("must", "should", "nit")


def refused(
    feedback: Mapping[str, Any], room: Room, words: Templates = BUILT_IN, *, changes: bool = True
) -> list[str]:
    """The parts of a prompt about the last attempt; `changes`: its agent left changes in files."""
    parts = []
    if note := str(feedback.get("note") or "").strip():
        parts.append(f"## What the person says about the last attempt\n\n{note}")
    if reviews := mappings(feedback.get("reviews")):
        parts += [words.render("again.reviews"), *told_reviews(reviews, room)]
    found = [
        *_findings(feedback.get("findings"), room, words),
        *_instructions(feedback.get("instructions")),
        *_evidence(feedback, room, words),
    ]
    if found:
        parts += ["## The last attempt was not accepted", *found]
        if changes:
            parts.append("Look at the files first: they may hold changes of that attempt.")
    return parts


def told_reviews(reviews: Sequence[Mapping[str, Any]], room: Room, head: str = "From") -> list[str]:
    """What reviewers have said, the newest first: each in its block, within the room."""
    newest = list(reversed(reviews))
    left_out = newest[_MOST_REVIEWS:]
    pieces = [_review(n, review, head) for n, review in enumerate(newest[:_MOST_REVIEWS])]
    if left_out:
        room.left_out["older reviews"] = sum(len(str(review)) for review in left_out)
    more = [f"[{len(left_out)} older reviews left out]"] if left_out else []
    return [*room.take(pieces, share=_REVIEWS), *more]


def _review(n: int, review: Mapping[str, Any], head: str) -> Piece:
    by = plain_line(str(review.get("by") or "a reviewer"), 80)
    opinion = plain_line(str(review.get("opinion") or ""), 40).replace("_", " ")
    comments = sorted(mappings(review.get("comments")), key=_strength)
    lines = [
        plain(str(review.get("summary") or "")).strip(),
        *(_comment(comment) for comment in comments),
    ]
    whole = f"{head} {by}{f' ({opinion})' if opinion else ''}:"
    text = "\n".join(filter(None, lines)) or "(nothing)"
    return Piece(f"review {n + 1} by {by}", whole, text, whole_lines)


def _strength(comment: Mapping[str, Any]) -> int:
    said = comment.get("severity")
    known = isinstance(said, str) and said in _STRONGEST_FIRST
    return _STRONGEST_FIRST.index(said) if known and isinstance(said, str) else 1


def _comment(comment: Mapping[str, Any]) -> str:
    path, line = plain_line(str(comment.get("path") or ""), 300), comment.get("line")
    where = f"{path}:{line}" if isinstance(line, int) else path
    severity = plain_line(str(comment.get("severity") or ""), 20)
    text = plain(str(comment.get("text") or "")).strip().replace("\n", "\n  ")
    return "- " + " ".join(filter(None, (where, severity and f"[{severity}]", text)))


def _findings(found: object, room: Room, words: Templates) -> list[str]:
    texts = [plain_line(str(item.get("text", "")), 600) for item in mappings(found)]
    texts = [f"- {text}" for text in texts if text]
    if not texts:
        return []
    left_out = texts[_MOST_FINDINGS:]
    if left_out:
        room.left_out["findings"] = len("\n".join(left_out))
    more = [f"- [{len(left_out)} more findings left out]"] if left_out else []
    told = "\n".join([*texts[:_MOST_FINDINGS], *more])
    return [words.render("again.findings", findings=told)]


def _instructions(said: object) -> list[str]:
    text = plain_line(str(said or ""), 4000)
    return [text] if text else []


def _evidence(feedback: Mapping[str, Any], room: Room, words: Templates) -> list[str]:
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
        for item in mappings(feedback.get("tails"))
    ]
    parts += own.take(
        [
            Piece(f"output of {name}", f"The end of the output of the run '{name}':", tail, end_of)
            for name, tail in tails
        ]
    )
    room.left -= before - own.left
    return [words.render("again.data"), *parts] if parts else []


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def mappings(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list that may be anything."""
    return [item for item in _sequence(value) if isinstance(item, Mapping)]
