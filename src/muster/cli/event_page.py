"""One event as text: what led to it and what it led to as a tree, and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator

from muster.cli.look import Ink, ago, facts, indented, some
from muster.client.shapes import Event, EventStory
from muster.domain.plain import plain

_DEEPEST = 12
"""Steps to the right that a long chain takes; the rest of it stands below each other."""


def event_page(ink: Ink, story: EventStory) -> str:
    """The whole page."""
    said = json.dumps(story["payload"], indent=2, ensure_ascii=False) if story["payload"] else ""
    pairs = [
        ("time", some(story["time"])),
        ("project", some(story["project_id"])),
        ("task", some(story["task_id"])),
        ("processed", some(story["processed_at"])),
    ]
    return "\n\n".join(
        part
        for part in ("\n".join(_tree(ink, story)), facts(ink, pairs), indented(plain(said)))
        if part
    )


def _tree(ink: Ink, story: EventStory) -> Iterator[str]:
    first = (story["chain"] or [story])[0]
    if first["cause"] is not None:
        yield f"… (event {some(first['cause'])} and what led to it)"
    for depth, event in enumerate(story["chain"]):
        yield f"{_branch(depth)}{_line(event)}"
    depth = len(story["chain"])
    yield f"{_branch(depth)}{ink.paint('bold', _line(story))}"
    for event in story["led_to"]:
        yield f"{_branch(depth + 1)}{_line(event)}"


def _branch(depth: int) -> str:
    return f"{'   ' * (min(depth, _DEEPEST) - 1)}└─ " if depth else ""


def _line(event: Event) -> str:
    return "  ".join(
        (some(event["rev"]), some(event["type"]), some(event["subject"]), ago(event["time"]))
    )
