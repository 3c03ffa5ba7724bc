"""A task's playbook on its page: its steps, its pull request, what each role said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from muster.web.counter import Row
from muster.web.phrases import step_word

REVIEWS, REMARKS, CAUSED, PLANNED = 5, 20, 20, 30
_LOOKS = {
    "done": ("done", "ok", "Done"),
    "now": ("running", "run", "Now"),
    "ahead": ("queued", "idle", "To come"),
}
_OPINIONS = {
    "approve": ("done", "ok", "approves"),
    "request_changes": ("asked", "you", "asks for changes"),
}


def crew_view(task: Row) -> Row | None:
    """What the section shows; None for a task that no events lead on."""
    crew = task["crew"]
    if crew is None:
        return None
    reviews = crew["reviews"]
    return {
        "rounds": crew["rounds"],
        "way": [_step(one) for one in crew["way"]],
        "pull": _pull(crew["pull"]),
        "analysis": (crew["analysis"] or {}).get("analysis"),
        "planned": [
            {"title": one.get("title"), "files": ", ".join(map(str, one.get("files") or ()))}
            for one in ((crew["analysis"] or {}).get("plan") or [])[:PLANNED]
        ],
        "reviews": [_review(one) for one in reversed(reviews[-REVIEWS:])],
        "earlier": max(0, len(reviews) - REVIEWS),
        "deployment": _deployment(crew["deployment"]),
        "cause": crew["cause"],
        "caused": crew["caused"][:CAUSED],
    }


def web_address(text: Any) -> str:
    """An address that a page may link to, which a stranger gave; else nothing."""
    address = str(text or "")
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    whole = parts.scheme in {"http", "https"} and parts.hostname and address.isprintable()
    return address if whole and " " not in address else ""


def _step(one: Mapping[str, Any]) -> Row:
    shape, tone, word = _LOOKS.get(one["state"], _LOOKS["ahead"])
    return {
        "name": step_word(one["step"]),
        "state": one["state"],
        "shape": shape,
        "tone": tone,
        "word": word,
    }


def _pull(pull: Row | None) -> Row | None:
    if pull is None:
        return None
    number, state = pull.get("number"), pull.get("state")
    return {"number": number, "state": state, "address": web_address(pull.get("url"))}


def _deployment(record: Row | None) -> Row | None:
    if record is None:
        return None
    names = ("deployed", "version", "environment", "notes")
    return {
        **{name: record.get(name) for name in names},
        "commit": str(record.get("commit") or "")[:10],
        "address": web_address(record.get("url")),
    }


def _review(review: Row) -> Row:
    shape, tone, word = _OPINIONS.get(review.get("verdict", ""), ("dot", "idle", "has read it"))
    remarks = review.get("comments") or []
    return {
        "by": review.get("by"),
        "summary": review.get("summary"),
        "shape": shape,
        "tone": tone,
        "word": word,
        "remarks": [_remark(one) for one in remarks[:REMARKS]],
        "more": max(0, len(remarks) - REMARKS),
    }


def _remark(one: Row) -> Row:
    line = one.get("line")
    where = str(one.get("path") or "")
    return {
        "where": f"{where}:{line}" if line is not None else where,
        "text": one.get("text"),
        "severity": one.get("severity"),
    }
