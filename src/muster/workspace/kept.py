"""Answers that stay true, as commits do not change: kept up to a weight, the oldest go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable


class Kept:
    """Bytes by key, at most `most` of them together; may be used from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._weight = 0
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, bytes] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        """Whether something is kept for a key now."""
        return key in self._held

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What is kept for a key, else made now; two threads may make the same at once."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                return found
        made = make()
        with self._lock:
            if key not in self._held:
                self._held[key] = made
                self._weight += len(made)
            while self._weight > self._most:
                _, dropped = self._held.popitem(last=False)
                self._weight -= len(dropped)
        return made

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._held.clear()
            self._weight = 0
