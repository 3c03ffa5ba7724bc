"""Requests from outside, checked: what may be asked for, word by word."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.project import ProjectSettings
from muster.domain.task import (
    DEFAULT_PRIORITY,
    MANAGER,
    OWES_PROOF,
    PLAN,
    PRIORITIES,
    Autonomy,
    TaskType,
)
from muster.domain.telling import text

TITLE_LENGTH = 200
DESCRIPTION_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A task as somebody asked for it; references are not yet looked up."""

    project: str
    title: str
    description: str
    type: TaskType
    priority: int
    after: tuple[str, ...]
    autonomy: Autonomy | None
    agent: str | None
    runtime: str | None
    playbook: str | None
    model: str | None
    budget_usd: float | None
    timeout_minutes: float | None
    paths: tuple[str, ...]
    image: str | None = None
    acceptance: bool | None = None
    repos: tuple[str, ...] = ()


_TASK_KEYS = frozenset(TaskRequest.__slots__)


def task_request(body: Mapping[str, Any]) -> TaskRequest:
    """Check what was sent for a new task.

    Raises:
        Invalid: something is missing, unknown or out of its range; the message names it.
    """
    unknown = sorted(set(body) - _TASK_KEYS)
    if unknown:
        raise Invalid(
            f"a task has no '{unknown[0]}'", hint=f"it takes: {', '.join(sorted(_TASK_KEYS))}"
        )
    playbook = _optional(body, "playbook")
    unsaid = playbook == MANAGER and body.get("description") == ""
    description = "" if unsaid else text(body, "description", DESCRIPTION_BYTES)
    return TaskRequest(
        project=text(body, "project", 4096),
        title=_title(body, description),
        description=description,
        type=_one(TaskType, body, "type", TaskType.FEATURE),
        priority=urgency(body, DEFAULT_PRIORITY),
        after=_texts(body, "after"),
        autonomy=_one(Autonomy, body, "autonomy", None),
        agent=_optional(body, "agent"),
        runtime=_optional(body, "runtime"),
        playbook=playbook,
        model=_optional(body, "model"),
        budget_usd=amount(body, "budget_usd"),
        timeout_minutes=amount(body, "timeout_minutes"),
        paths=_paths(body),
        image=_optional(body, "image"),
        acceptance=_yes_or_no(body, "acceptance"),
        repos=_texts(body, "repos"),
    )


def refuse_acceptance(wanted: TaskRequest, settings: ProjectSettings) -> None:
    """Raise `Invalid` when acceptance tests are asked for where there can be none.

    What comes of a plan or a manager is of any type, so theirs says nothing.
    """
    if not wanted.acceptance:
        return
    why, hint = "", ""
    if wanted.playbook not in {MANAGER, PLAN} and wanted.type not in OWES_PROOF:
        why, hint = f"a task of type {wanted.type}", f"for {' and '.join(sorted(OWES_PROOF))} only"
    elif not settings.test_command:
        why, hint = "a project without a test command", "muster project set test_command 'COMMAND'"
    if why:
        raise Invalid(f"acceptance tests cannot be written for {why}", hint=hint)


def _title(body: Mapping[str, Any], description: str) -> str:
    if body.get("title") is not None:
        title = text(body, "title", 4096)
    elif not description:
        title = "Listen"
    else:
        title = description.strip().splitlines()[0]
    title = " ".join(title.split())
    return title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"


def _one(kind: Any, body: Mapping[str, Any], name: str, default: Any) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if value not in list(kind):
        raise Invalid(f"{name} '{value}' is not known", hint=f"{name} is one of {', '.join(kind)}")
    return kind(value)


def urgency(body: Mapping[str, Any], unsaid: int | None = None) -> int:
    """The priority that was sent, or `unsaid` where none was.

    Raises:
        Invalid: it is none of 0 to 9.
    """
    value = unsaid if body.get("priority") is None else body["priority"]
    if isinstance(value, bool) or not isinstance(value, int) or value not in PRIORITIES:
        raise Invalid(
            f"priority {value!r} is out of range", hint="0 to 9; a higher number starts first"
        )
    return value


def _yes_or_no(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Invalid(f"{name} {value!r} is neither true nor false", hint=f'"{name}": true')
    return value


def _texts(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name) or ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) and v for v in value):
        raise Invalid(f"'{name}' must be a list of texts", hint=f'for example "{name}": ["MU-1"]')
    return tuple(value)


def _optional(body: Mapping[str, Any], name: str) -> str | None:
    return None if body.get(name) is None else text(body, name, 4096)


def amount(body: Mapping[str, Any], name: str) -> float | None:
    """A number above zero that may be left out.

    Raises:
        Invalid: it is none.
    """
    value = body.get(name)
    if value is None:
        return None
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not 0 < value < 1e9:
        raise Invalid(f"{name} {value!r} is out of range", hint=f"{name} is a number above 0")
    return float(value)


def _paths(body: Mapping[str, Any]) -> tuple[str, ...]:
    found = _texts(body, "paths")
    for pattern in found:
        fnmatch.translate(pattern)
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise Invalid(
                f"the path pattern '{pattern}' leaves the repository",
                hint="patterns are relative to its top, for example src/**",
            )
    return found
