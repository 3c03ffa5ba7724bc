"""What aider's own account of a run says: whether its model's service ever answered.

Facts, of 0.86.2: status 0 says nothing, it also ends so when the service refused. With
`--analytics-log` it writes its events as lines of JSON, though nothing is sent to anybody: each
time it asks there is `message_send_starting`, and `message_send` with tokens once it was answered.
In between it prints the error as `litellm.KIND: KIND: …`, wrapped at COLUMNS; it tries again for a
minute, but for what only a person can mend. All its events name one user, made up for the run's
private home: no model can know that name, so that what a model says is no event.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typing_extensions import override

from muster.agents import litellm_errors, service_errors
from muster.agents.base import Ending, Fact
from muster.agents.plain_text import PlainTextReader
from muster.agents.said import Lines, one_line
from muster.agents.stream_json_values import mapping, word
from muster.domain.agent import Outcome

_ERROR = re.compile(r"litellm\.(?:exceptions\.)?(\w+): (.*)")
_LONGEST = 1024 * 1024


class AiderReader(PlainTextReader):
    """Plain text, but for the events; a run whose last question was not answered did not work."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._whole = Lines(_LONGEST)
        self._user = ""
        self._asks = False
        self._error: tuple[str, str] = ("", "")

    @override
    def feed(self, data: bytes) -> Sequence[Fact]:
        """The lines that a person is to see."""
        shown = b""
        for line in self._whole.feed(data):
            if not self._took(line):
                shown += line + b"\n"
        return super().feed(shown)

    @override
    def end(self, code: int | None, why: str) -> Ending:
        """The service's refusal where the last question met one, else what the status says."""
        rest = self._whole.rest()
        if rest and not self._took(rest):
            super().feed(rest)
        ending = super().end(code, why)
        if ending.outcome is not Outcome.COMPLETED or not self._asks:
            return ending
        kind, said = self._error
        if not kind:
            return Ending(Outcome.FAILED, "its model gave no answer")
        return litellm_errors.ending(kind, said, self._clock())

    def _took(self, line: bytes) -> bool:
        """Whether a line is an event; an error that is printed is heard as well."""
        text = line.decode("utf-8", "replace").strip()
        if event := self._event(text):
            name = event["event"]
            if name == "message_send_starting":
                self._asks, self._error = True, ("", "")
            elif name == "message_send":
                self._asks = False
            return True
        if self._asks and (found := _ERROR.fullmatch(text)):
            self._error = found[1], one_line(found[2], service_errors.REASON)
        return False

    def _event(self, text: str) -> Mapping[str, Any]:
        """An event of the run's one user; its first is said before any model says a thing."""
        if not text.startswith('{"event"'):
            return {}
        try:
            event = mapping(json.loads(text))
        except (ValueError, RecursionError):
            return {}
        self._user = self._user or word(event.get("user_id"))
        ours = bool(self._user) and event.get("user_id") == self._user
        return event if ours and word(event.get("event")) else {}
