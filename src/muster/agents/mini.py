"""What mini-swe-agent's own record of a run says of its end.

Facts, of 2.4.6: an error of the model's service ends it with status 1, after as many attempts as
MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT says, 4 seconds and more apart. It writes its record to
`--output` after each step, as indented JSON; the last `exit_status` in it is the error's kind and
`exception_str` what it said. The command of the preset prints these two lines of it at the end of
a run that failed; what was printed before, as by a model, does not count.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence

from typing_extensions import override

from muster.agents import litellm_errors
from muster.agents.base import Ending, Fact
from muster.agents.plain_text import PlainTextReader
from muster.agents.said import Lines
from muster.agents.stream_json_values import mapping, word
from muster.domain.agent import Outcome

COMMAND = (
    'mini -y --exit-immediately --output "$HOME/mini.json"'
    ' --task="$(cat "$MUSTER_PROMPT_FILE")" "$@"; status=$?;'
    ' [ $status = 0 ] || grep -E "^ *\\"(exit_status|exception_str)\\": " "$HOME/mini.json"'
    " 2>/dev/null | tail -n 2; exit $status"
)
_LINE = re.compile(r'\s*("(?:exit_status|exception_str)": ".*"),?\s*')
_LONGEST = 1024 * 1024


class MiniReader(PlainTextReader):
    """Plain text, but for the last two lines of a run that failed."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._whole = Lines(_LONGEST)
        self._tail: list[bytes] = []

    @override
    def feed(self, data: bytes) -> Sequence[Fact]:
        """All lines, and the last two are kept."""
        self._tail = [*self._tail, *self._whole.feed(data)][-2:]
        return super().feed(data)

    @override
    def end(self, code: int | None, why: str) -> Ending:
        """The service's refusal where that ended it, else what the status says."""
        ending = super().end(code, why)
        kind, said = self._error()
        if ending.outcome is not Outcome.FAILED or not litellm_errors.is_of_service(kind):
            return ending
        return litellm_errors.ending(kind, said, self._clock())

    def _error(self) -> tuple[str, str]:
        """The kind of the error in its record, and what it said."""
        texts = [line.decode("utf-8", "replace") for line in self._tail]
        told = ", ".join(found[1] for text in texts if (found := _LINE.fullmatch(text)))
        try:
            record = mapping(json.loads(f"{{{told}}}"))
        except (ValueError, RecursionError):
            return "", ""
        kind, said = word(record.get("exit_status")), word(record.get("exception_str"))
        return (kind, said) if said else ("", "")
