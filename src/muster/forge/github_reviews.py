"""Reviews as GitHub keeps them: what is said where, and a mark by which ours are known again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.plain import plain_line
from muster.forge.base import LineComment, NewReview, Opinion, Review
from muster.forge.github_answers import OPINIONS, table, words

LARGEST_TEXT = 60_000
"""Characters of a text that is put there; GitHub takes 65,536."""
_CUT = "\n\n… (cut here: it was longer than GitHub takes)"
_MOST_COMMENTS = 100
_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:]|-(?!-)){0,119}")
_MARK = re.compile(r"<!-- muster:(\S+?)(?: (approve|request_changes|comment))? -->")
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_EVENTS = {
    Opinion.APPROVE: "APPROVE",
    Opinion.REQUEST_CHANGES: "REQUEST_CHANGES",
    Opinion.COMMENT: "COMMENT",
}
_SAID = {
    Opinion.APPROVE: "**Approved.** ",
    Opinion.REQUEST_CHANGES: "**Changes requested.** ",
    Opinion.COMMENT: "",
}


def mark(key: str, opinion: Opinion | None = None) -> str:
    """The line that says, to nobody who reads the page, what was said under which key.

    Raises:
        Invalid: the key cannot stand there.
    """
    if not _KEY.fullmatch(key):
        raise Invalid(
            f"'{plain_line(key, 130)}' cannot be the key of a review",
            hint="letters, digits and . _ : -, 120 at most",
        )
    return f"<!-- muster:{key} {opinion} -->" if opinion else f"<!-- muster:{key} -->"


def marked(text: str) -> tuple[str, Opinion | None]:
    """The key and the opinion of a text's last line, which only its author wrote; none: empty."""
    found = _MARK.fullmatch(text.rstrip().rpartition("\n")[2].strip())
    return (found[1], Opinion(found[2]) if found[2] else None) if found else ("", None)


def bounded(text: str) -> str:
    """A text as long as GitHub takes it."""
    return text if len(text) <= LARGEST_TEXT else text[: LARGEST_TEXT - len(_CUT)] + _CUT


def signed(text: str, line: str) -> str:
    """A text with the mark as its last line."""
    return f"{bounded(text).rstrip()}\n\n{line}"


def lines_of(patch: str) -> frozenset[int]:
    """The lines of the new file that a patch shows: remarks can stand on these alone."""
    shown: set[int] = set()
    at = 0
    for line in patch.split("\n"):
        if found := _HUNK.match(line):
            at = int(found[1])
        elif at and line[:1] in {"+", " "}:
            shown.add(at)
            at += 1
    return frozenset(shown)


def body_of(
    review: NewReview, shown: Mapping[str, frozenset[int]], own: bool, inline: bool = True
) -> dict[str, Any]:
    """The request that gives a review; `own` when it would be of one's own pull request.

    `shown` are the lines that remarks can stand on, by path; without `inline` none does.
    """
    placed: list[LineComment] = []
    others: list[LineComment] = []
    for comment in review.comments:
        can = inline and len(placed) < _MOST_COMMENTS
        fits = can and comment.line in shown.get(comment.path, frozenset())
        (placed if fits else others).append(comment)
    summary = (_SAID[review.opinion] if own else "") + review.summary
    if others:
        summary += "\n\n" + "\n".join(_remark(comment) for comment in others)
    return {
        "commit_id": review.head,
        "event": "COMMENT" if own else _EVENTS[review.opinion],
        "body": signed(summary, mark(review.key, review.opinion)),
        "comments": [
            {"path": one.path, "line": one.line, "side": "RIGHT", "body": bounded(one.text)}
            for one in placed
        ],
    }


def reviews_of(given: Iterable[Any], remarks: Iterable[Any], login: str) -> list[Review]:
    """All reviews that were handed in, oldest first, with their remarks."""
    by_review: dict[str, list[LineComment]] = {}
    for remark in map(table, remarks):
        by_review.setdefault(str(remark.get("pull_request_review_id")), []).append(_comment(remark))
    found = [table(one) for one in given]
    return [
        _review(one, by_review.get(str(one.get("id")), ()), login)
        for one in sorted(found, key=lambda one: words(one, "submitted_at"))
        if words(one, "state") in OPINIONS
    ]


def _review(data: Mapping[str, Any], comments: Sequence[LineComment], login: str) -> Review:
    author, text = words(data, "user", "login"), words(data, "body")
    state = words(data, "state")
    key, said = marked(text)
    own = bool(key) and same_login(author, login)
    # Of one's own pull request an opinion can be given as a comment only; the mark tells it.
    told = said if own and said and state == "COMMENTED" else OPINIONS[state]
    return Review(
        id=str(data.get("id", "")),
        author=author,
        opinion=told,
        head=words(data, "commit_id"),
        summary=text,
        own=own,
        at=words(data, "submitted_at"),
        comments=tuple(comments),
    )


def same_login(one: str, other: str) -> bool:
    """Whether two names are of the same account; GitHub does not tell letters' case apart."""
    return bool(one) and one.lower() == other.lower()


def _comment(data: Mapping[str, Any]) -> LineComment:
    line = data.get("line")
    return LineComment(
        words(data, "path"), line if type(line) is int else None, words(data, "body")
    )


def _remark(comment: LineComment) -> str:
    place = comment.path if comment.line is None else f"{comment.path}:{comment.line}"
    text = comment.text.strip().replace("\n", "\n  ")
    return f"- `{plain_line(place.replace('`', ''), 300)}`: {text}"
