"""What an error of the model's service means as the end of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from muster.agents import limits
from muster.agents.base import Ending
from muster.agents.said import one_line
from muster.agents.stream_json_values import deep, word
from muster.domain.agent import Outcome

REASON = 300
LIMITED = frozenset({429, 529})
_STATUS = re.compile(r"\s*(?:HTTP |status |error )?([45]\d\d)\b", re.IGNORECASE)
REFUSING = frozenset({401, 402, 403})


def words(text: str) -> str:
    """The message of an error that came as the service's whole answer, else the text itself."""
    try:
        told = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        told = None
    return word(deep(told, "error", "message")) or text


def status_in(details: str) -> int | None:
    """The status that an error's details begin with, as `401 Incorrect API key`."""
    found = _STATUS.match(details)
    return int(found[1]) if found else None


def ending(text: str, status: int | None, now: float, known: float | None = None) -> Ending:
    """The outcome by the service's own status, and by its words where the status says nothing.

    `known` is when a limit ends, where that was told in a field of its own. A service that broke
    is not the work's fault.
    """
    reason = one_line(words(text), REASON) or "the program reported an error"
    if status is not None and str(status) not in reason:
        reason += f" (the service answered {status})"
    if status in REFUSING or limits.wants_person(text):
        return Ending(Outcome.AUTH, reason)
    if status in LIMITED or limits.is_limit(text):
        return Ending(Outcome.RATE_LIMITED, reason, known or limits.retry_at(text, now))
    if status >= 500 if status is not None else limits.is_trouble(text):
        return Ending(Outcome.UNAVAILABLE, reason)
    return Ending(Outcome.FAILED, reason)


def waiting(told: Mapping[str, Any], heard_at: float, said: str) -> Ending:
    """The end of a program that fell silent after a `retry`: it waits for its service.

    Only what the service may still do is tried again, so that it is never the work's fault.
    """
    delay = told.get("delay_seconds") or 0.0
    text, status = str(told.get("text") or ""), told.get("status")
    known = heard_at + delay if delay else None
    end = ending(text, status, heard_at, known)
    reason = f"{end.reason}; it {said}"
    if end.outcome in {Outcome.FAILED, Outcome.UNAVAILABLE}:
        return Ending(Outcome.UNAVAILABLE, reason, known)
    return Ending(end.outcome, reason, end.retry_at)
