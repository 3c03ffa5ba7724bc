"""What a stream-json run's own last words mean as an outcome.

Neither the exit status nor the subtype can be trusted alone: a refusal by the service is a result
with `subtype: "success", is_error: true`; an interrupt in mid-turn gives status 0, and either a
result with `terminal_reason: "aborted_…"` or none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from muster.agents import limits
from muster.agents.base import Ending
from muster.agents.endings import status_words
from muster.agents.said import one_line
from muster.agents.stream_json_values import count, deep, entries, epoch, mapping, word
from muster.domain.agent import Outcome

REASON = 300
_BY_SUBTYPE = {
    "error_max_budget_usd": (Outcome.BUDGET, "the budget of this run is used up"),
    "error_max_turns": (Outcome.BUDGET, "the limit of turns is reached"),
}
_BY_STATUS = {
    401: Outcome.AUTH,
    402: Outcome.AUTH,
    403: Outcome.AUTH,
    429: Outcome.RATE_LIMITED,
    529: Outcome.RATE_LIMITED,
}
_BY_ERROR = {
    "authentication_failed": Outcome.AUTH,
    "billing_error": Outcome.AUTH,
    "oauth_org_not_allowed": Outcome.AUTH,
    "rate_limit": Outcome.RATE_LIMITED,
    "overloaded": Outcome.RATE_LIMITED,
}


class End:
    """Gathers the last words of a run and says what they amount to."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._result: Mapping[str, Any] | None = None
        self._error = ""
        self._retry_at: float | None = None
        self._refused = False

    @property
    def succeeded(self) -> bool:
        """Whether the program itself claims success, in both of its words."""
        result = self._result or {}
        return result.get("is_error") is False and result.get("subtype") == "success"

    def note_system(self, subtype: str) -> None:
        """Hear a notice of the program."""
        self._refused = self._refused or subtype == "model_refusal_no_fallback"

    def note_error(self, event: Mapping[str, Any]) -> None:
        """Hear a refusal by the service."""
        self._error = word(event.get("error"))
        self.note_limit(mapping(deep(event, "api_error_params", "rate_limit_info")))

    def note_limit(self, info: Mapping[str, Any]) -> float | None:
        """Hear about a limit; when it can be tried again, if one was met and it is known."""
        if info.get("status") != "rejected":
            return None
        self._retry_at = epoch(info.get("resetsAt")) or self._retry_at
        return self._retry_at

    def note_result(self, event: Mapping[str, Any]) -> None:
        """Hear a result; the last one counts."""
        self._result = event

    def ending(self, code: int | None) -> Ending | None:
        """The outcome of the last result; None without one."""
        if self._result is None:
            return None
        if not self.succeeded:
            return self._unsuccessful(self._result)
        if code == 0:
            return Ending(Outcome.COMPLETED, self._words(self._result) or "finished")
        return Ending(Outcome.CRASHED, f"{status_words(code)} after it reported success")

    def _unsuccessful(self, result: Mapping[str, Any]) -> Ending:
        words = self._words(result)
        if known := _BY_SUBTYPE.get(word(result.get("subtype"))):
            return Ending(known[0], words or known[1])
        if word(result.get("terminal_reason")).startswith("aborted"):
            return Ending(Outcome.CRASHED, "it was interrupted from outside")
        outcome = self._outcome(result)
        retry_at = None
        if outcome is Outcome.RATE_LIMITED:
            retry_at = self._retry_at or limits.retry_at(words, self._clock())
        return Ending(outcome, words or "ended with an error", retry_at)

    def _outcome(self, result: Mapping[str, Any]) -> Outcome:
        status = count(result.get("api_error_status"))
        known = _BY_STATUS.get(status) or _BY_ERROR.get(self._error)
        if known:
            return known
        if self._refused or result.get("stop_reason") == "refusal":
            return Outcome.REFUSED
        if result.get("terminal_reason") == "api_error":
            return _by_service(status, self._words(result))
        return Outcome.FAILED

    def _words(self, result: Mapping[str, Any]) -> str:
        errors = result.get("errors")
        listed = [e for e in errors if isinstance(e, str)] if isinstance(errors, list) else []
        listed += [word(e.get("message")) for e in entries(errors)]
        return one_line(word(result.get("result")) or "; ".join(listed[:5]), REASON)


def _by_service(status: int, words: str) -> Outcome:
    """What an error of the service means; without a status it is the connection that broke."""
    if limits.wants_person(words):
        return Outcome.AUTH
    if limits.is_limit(words):
        return Outcome.RATE_LIMITED
    if status >= 500:
        return Outcome.UNAVAILABLE
    return Outcome.FAILED if status >= 400 else Outcome.CRASHED
