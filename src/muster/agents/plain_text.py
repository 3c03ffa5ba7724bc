"""The reader for programs that print plain text: their exit status is their whole account."""

from __future__ import annotations

from collections.abc import Sequence

from muster.agents.base import Ending, Fact
from muster.agents.endings import by_why, status_words
from muster.agents.said import Lines, one_line, readable
from muster.domain.agent import Outcome

LINE = 400
AT_ONCE = 20
"""Facts made of one piece of output at most, the last ones: a flood must not become rows."""

LONGEST = 1024 * 1024


class PlainTextReader:
    """Lines of output as `text` facts, and the outcome from the exit status."""

    def __init__(self) -> None:
        self._lines = Lines(LONGEST)
        self._last = ""

    def feed(self, data: bytes) -> Sequence[Fact]:
        """The last lines completed by these bytes; the program's whole output is in its log."""
        lines = self._lines.feed(data)[-AT_ONCE:]
        texts = [text for line in lines if (text := _shown(line))]
        self._last = texts[-1] if texts else self._last
        return [Fact("text", {"text": text}) for text in texts]

    def end(self, code: int | None, why: str) -> Ending:
        """Completed by status 0; what was last said stands beside every other status."""
        self._last = _shown(self._lines.rest()) or self._last
        if decided := by_why(why):
            return decided
        if code == 0:
            return Ending(Outcome.COMPLETED, "ended with status 0")
        last = f": {one_line(self._last)}" if self._last else ""
        outcome = Outcome.FAILED if code is not None and code > 0 else Outcome.CRASHED
        return Ending(outcome, f"{status_words(code)}{last}")


def _shown(line: bytes) -> str:
    """A line as a terminal would leave it: a carriage return starts it anew."""
    text = line.decode("utf-8", "replace").rstrip("\r")
    return readable(text.rpartition("\r")[2], LINE)
