"""How often one agent may call: a burst at first, then a steady rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from muster.domain.errors import MusterError

BURST = 60
PER_SECOND = 5.0
AT_ONCE = 8
_MOST_KNOWN = 10_000


class TooMany(MusterError):
    """More calls than one caller may make."""

    code, title, status, exit_code = "too-many", "Too many calls", 429, 1


@dataclass(slots=True)
class _Account:
    left: float
    at: float
    open: int = 0


@dataclass(slots=True)
class Rates:
    """The accounts of all callers of one process."""

    clock: Callable[[], float] = time.monotonic
    _accounts: dict[str, _Account] = field(default_factory=dict)

    def enter(self, who: str) -> None:
        """Count a call that begins.

        Raises:
            TooMany: it comes too soon, or too many of this caller are under way.
        """
        now = self.clock()
        account = self._accounts.setdefault(who, _Account(BURST, now))
        account.left = min(BURST, account.left + (now - account.at) * PER_SECOND)
        account.at = now
        if account.open >= AT_ONCE:
            raise TooMany(
                f"{AT_ONCE} calls of yours are under way", hint="wait until one of them has ended"
            )
        if account.left < 1:
            raise TooMany(
                f"more than {PER_SECOND:g} calls in a second",
                hint=f"wait {(1 - account.left) / PER_SECOND:.1f} s",
            )
        account.left -= 1
        account.open += 1

    def leave(self, who: str) -> None:
        """Count a call that has ended; forget who has been quiet for long."""
        self._accounts[who].open -= 1
        if len(self._accounts) > _MOST_KNOWN:
            quiet = self.clock() - BURST / PER_SECOND
            for name, account in list(self._accounts.items()):
                if not account.open and account.at < quiet:
                    del self._accounts[name]
