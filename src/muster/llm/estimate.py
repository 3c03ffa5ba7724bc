"""How many tokens a text has: a bound that is safe at first, corrected by what providers count."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

BYTES_PER_TOKEN = 3.4
"""Of code in most tokenizers hardly a file has fewer (measured: 4.5 on average, 3.43 at p5)."""
_LEAST, _MOST = 1.0, 8.0
_SMALLEST = 2000
_KEPT = 32
_BEFORE_LONGER = 3
"""How many counts it takes to believe that tokens are longer; that they are shorter takes one."""


class Estimate:
    """The estimate for one model. Small texts teach nothing: the template outweighs them."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=_KEPT)

    @property
    def ratio(self) -> float:
        """Bytes of UTF-8 for a token: the fewest of those counted lately."""
        seen = self._seen
        if not seen:
            return BYTES_PER_TOKEN
        fewest = min(seen)
        return fewest if len(seen) >= _BEFORE_LONGER else min(fewest, BYTES_PER_TOKEN)

    def tokens(self, *texts: str) -> int:
        """At most about this many."""
        return int(sum(map(_size, texts)) / self.ratio) + 1

    def learn(self, texts: Sequence[str], counted: int | None) -> None:
        """That these together had so many tokens."""
        size = sum(map(_size, texts))
        if counted and counted > 0 and size >= _SMALLEST:
            self._seen.append(min(max(size / counted, _LEAST), _MOST))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
