"""The limits that GitHub sets: kept by all requests together, waited for when that is short."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from muster.domain.errors import Away

_AT_LEAST = 60.0
"""Seconds that GitHub asks for after a secondary limit of which it does not say how long it is."""
_APART = 1.0
"""Seconds between two requests that make something, once it has asked for that."""
_LONGEST = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How time passes for a client: the clock (epoch seconds), how it waits, and for how long.

    `patience` is the longest wait for a limit, `answer` the longest for one answer, `tries` how
    often a request is made that may be made again, `first` the pause before the second of them; all
    in seconds. `largest` are the bytes of an answer: three thousand files with patches are less.
    """

    clock: Callable[[], float] = time.time
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    patience: float = 60.0
    answer: float = 30.0
    tries: int = 4
    first: float = 0.5
    largest: int = 16_000_000


class Limits:
    """Says when the next request may be made."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._turn = asyncio.Lock()
        self._until = 0.0
        self._apart = False
        self._made = 0.0

    async def turn(self, makes: bool) -> None:
        """Return when a request may be made; `makes` when it would make something.

        Raises:
            Away: a limit lasts longer than anybody waits.
        """
        async with self._turn:  # who waits, waits for all
            await self._wait(self._until)
            if makes and self._apart:
                await self._wait(self._made + _APART)
            if makes:
                self._made = self._pace.clock()

    async def _wait(self, until: float) -> None:
        left = until - self._pace.clock()
        if left > self._pace.patience:
            at = datetime.fromtimestamp(until, UTC)
            raise Away(
                f"GitHub takes no more requests until {at:%Y-%m-%d %H:%M:%S} UTC",
                hint="its rate limit is used up; what waits for it goes on by itself then",
                retry_after=round(left),
            )
        if left > 0:
            await self._pace.pause(left)

    def hit(self, status: int, headers: Mapping[str, str], message: str) -> bool:
        """Take note of a refusal; whether it was one by a limit, so that it may be asked again."""
        if status not in {403, 429}:
            return False
        now = self._pace.clock()
        after = seconds(headers.get("retry-after", ""), now)
        spent = headers.get("x-ratelimit-remaining") == "0"
        reset = _number(headers.get("x-ratelimit-reset", ""))
        secondary = after is not None or "secondary rate limit" in message.lower()
        if after is None and spent and reset is not None:
            after = reset - now
        elif after is None and (status == 429 or secondary):
            after = _AT_LEAST
        if after is None:
            return False
        self._apart = self._apart or secondary
        # A little more than it says: its clock and ours differ.
        self._until = max(self._until, now + min(max(after, 0.0), _LONGEST) + 0.5)
        return True


def seconds(text: str, now: float) -> float | None:
    """The seconds of a `Retry-After`, whether it is a number or a date."""
    if (found := _number(text)) is not None:
        return found
    try:
        return parsedate_to_datetime(text).timestamp() - now if text else None
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 15 else None
