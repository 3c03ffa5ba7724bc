"""The events that lead a task on, as lines of its trail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from muster.domain.event import Event
from muster.domain.plain import plain_line
from muster.domain.playbook import PLANNED

_LONGEST = 500
_Line = tuple[str, str]
"""A state of the trail (`ok`, `fail`, `note`, `wait`) and the words."""


def crew_line(event: Event) -> _Line | None:
    """What an event of a playbook is to people; None for one that is none, or says a plan's tasks.

    Who emits such an event from outside says in it what they like: nothing is taken to be there.
    """
    told, said = _TOLD.get(event.type), event.payload
    is_plan = event.type == PLANNED and said.get("tasks") and "steps" not in said
    if told is None or is_plan:
        return None
    state, words = told
    return state, words(said)


def _some(said: Mapping[str, Any], *names: str) -> str:
    """The first of these that is there, as one line."""
    found = (said.get(name) for name in names)
    return next((plain_line(str(one), _LONGEST) for one in found if one not in (None, "", [])), "")


def _line(words: str, *names: str) -> Callable[[Mapping[str, Any]], str]:
    """Words, who said it, and the first of these names that was given."""

    def told(said: Mapping[str, Any]) -> str:
        by, more = _some(said, "by"), _some(said, *names)
        return (f"{words} ({by})" if by else words) + (f": {more}" if more else "")

    return told


def _of_pull(words: str, *names: str) -> Callable[[Mapping[str, Any]], str]:
    def told(said: Mapping[str, Any]) -> str:
        number = _some(said, "number")
        return _line(words.replace(" #", f" #{number}" if number else ""), *names)(said)

    return told


def _deployed(said: Mapping[str, Any]) -> str:
    where, version = _some(said, "environment"), _some(said, "version")
    words = " ".join(
        filter(
            None,
            ("Deployed", _some(said, "commit")[:10], version, f"to {where}" if where else ""),
        )
    )
    return _line(words, "url", "notes")(said)


def _planned(said: Mapping[str, Any]) -> str:
    steps = said.get("steps")
    many = len(steps) if isinstance(steps, list) else 0
    words = f"Planned in {many} step{'s' if many > 1 else ''}" if many else "Planned"
    return _line(words, "summary")(said)


def _audited(said: Mapping[str, Any]) -> str:
    tasks = said.get("tasks")
    made = ", ".join(map(str, tasks)) if isinstance(tasks, list) else ""
    words = f"Audited, {plain_line(made, _LONGEST)} proposed" if made else "Audited"
    return _line(words, "summary")(said)


def _refused(said: Mapping[str, Any]) -> str:
    return _line(f"{_some(said, 'type')} led nowhere", "why")(said)


_TOLD: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "task.assigned": ("note", _line("The playbook begins", "summary")),
    "task.handed_on": ("note", _line("Handed on", "reason")),
    "task.plan.created": ("ok", _planned),
    "pr.created": ("ok", _of_pull("Offered as pull request #", "url", "branch")),
    "pr.updated": ("note", _of_pull("Pull request # has changed", "head")),
    "pr.reviewed": ("note", _line("A reviewer has read it", "summary", "opinion")),
    "pr.approved": ("ok", _line("Its reviewers approve", "summary")),
    "pr.changes.requested": ("wait", _line("A reviewer asks for changes", "summary")),
    "pr.merged": ("ok", _of_pull("Pull request # is merged", "commit")),
    "pr.closed": ("fail", _of_pull("Pull request # was closed unmerged", "summary")),
    "deploy.requested": ("note", _line("To be deployed", "about", "commit")),
    "deploy.completed": ("ok", _deployed),
    "deploy.failed": ("fail", _line("Not deployed", "notes", "summary")),
    "verify.passed": ("ok", _line("Verified", "summary")),
    "verify.failed": ("fail", _line("The deployment is not as it should be", "summary")),
    "audit.requested": ("note", _line("To be audited", "about")),
    "audit.completed": ("ok", _audited),
    "event.refused": ("wait", _refused),
}
