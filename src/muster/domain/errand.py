"""An errand: what a manager asks of one worker, checked word by word, whichever way it came."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.task import TaskType
from muster.domain.telling import Telling

PROMPT_BYTES = 64_000
MOST_WORKERS = 40
"""How many workers one manager may spawn and set to work again in all."""
KEPT = 0.1
"""The part of a manager's budget that its workers leave to it, so that it can still sum up."""

NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,39}$", re.IGNORECASE | re.ASCII)
_KEYS = frozenset({"id", "prompt", "title", "type", "after", "agent", "paths"})
_TITLE = 200
_NAMED = "letters, digits, dots, dashes; 40 at most"


@dataclass(frozen=True, slots=True)
class Errand:
    """What one worker is to do; `after` are the manager's own names of earlier workers."""

    id: str
    prompt: str
    title: str
    type: TaskType
    after: tuple[str, ...] = ()
    agent: str | None = None
    paths: tuple[str, ...] = ()


def errand_of(body: Mapping[str, Any], telling: Telling) -> Errand:
    """Check what a manager asked for.

    Raises:
        Invalid: something is missing, unknown or out of its range; the message names it.
    """
    unknown = sorted(map(str, set(body) - _KEYS))
    if unknown:
        raise Invalid(f"a worker has no '{unknown[0][:60]}'", hint=f"it takes: {_listed(_KEYS)}")
    prompt = telling.words(body, "prompt", PROMPT_BYTES)
    title = telling.words(body, "title", 1000) if body.get("title") else prompt.splitlines()[0]
    title = " ".join(title.split())
    kind = body.get("type") or TaskType.FEATURE
    if kind not in list(TaskType):
        raise Invalid(f"type {kind!r} is not known"[:200], hint=f"one of {_listed(TaskType)}")
    agent = body.get("agent")
    if agent is not None and not (isinstance(agent, str) and agent):
        raise Invalid("'agent' is no name", hint="leave it out to use your own")
    return Errand(
        id=worker_name(body.get("id")),
        prompt=prompt,
        title=title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…",
        type=TaskType(kind),
        after=tuple(map(worker_name, _list(body, "after"))),
        agent=agent,
        paths=_paths(_list(body, "paths")),
    )


def worker_name(given: Any) -> str:
    """A name that a manager gives a worker.

    Raises:
        Invalid: it is none.
    """
    if not isinstance(given, str) or not NAME.match(given):
        raise Invalid("'id' is no name for a worker", hint=f'for example "parser": {_NAMED}')
    return given


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    value = body.get(name) or []
    if not isinstance(value, list) or len(value) > MOST_WORKERS:
        raise Invalid(f"'{name}' must be a short list", hint=f'for example "{name}": ["parser"]')
    return value


def _paths(given: list[Any]) -> tuple[str, ...]:
    for pattern in given:
        good = isinstance(pattern, str) and pattern and len(pattern) < 1000
        if not good or pattern.startswith("/") or ".." in pattern.split("/"):
            raise Invalid(
                f"the path pattern {pattern!r} leaves the repository"[:200],
                hint="patterns are relative to its top, for example src/**",
            )
    return tuple(given)


def _listed(names: Any) -> str:
    return ", ".join(sorted(map(str, names)))
