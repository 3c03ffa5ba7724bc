"""What a reader keeps in mind of a stranger's output: so many things, and so much in all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.agents.said import as_json

LARGEST = 16 * 1024 * 1024
"""Characters of JSON that are kept together, beside the newest thing."""

Thing = Mapping[str, Any]
_NOTHING: Thing = {}


def size_of(thing: Thing) -> int:
    """How much it is, as JSON; what is nested too deeply counts for the most there can be."""
    text = as_json(thing)
    return LARGEST if text is None else len(text)


class InMind:
    """Things by their names; the oldest is let go of when there is no room for a new one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: dict[str, tuple[Thing, int]] = {}
        self._size = 0

    def get(self, name: str) -> Thing:
        """The thing of this name; an empty one when it is not known, or not any more."""
        return self._things.get(name, (_NOTHING, 0))[0]

    def put(self, name: str, thing: Thing) -> None:
        """Keep a thing, in place of the one of that name, which stays as old as it was."""
        size = size_of(thing)
        self._size += size - self._things.get(name, (_NOTHING, 0))[1]
        self._things[name] = thing, size
        while len(self._things) > self._most or (self._size > LARGEST and len(self._things) > 1):
            oldest = next(other for other in self._things if other != name)
            self.forget(oldest)

    def forget(self, name: str) -> None:
        """Let go of a thing."""
        _, size = self._things.pop(name, (_NOTHING, 0))
        self._size -= size
