"""What is owed to a two-way program, line by line, and what it has been sent already."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

REMEMBERED = 10_000
"""Keys of lines that are kept in mind; a program that asks more than that may be told twice."""


def line(message: Mapping[str, Any]) -> bytes:
    """A message as it is written, the same each time."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Outbox:
    """Lines to be written, each known by a key and each owed once.

    `key_of` tells the key of a message that was sent before a restart; `heard` is told of each.
    """

    def __init__(
        self,
        key_of: Callable[[Mapping[str, Any]], str],
        heard: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._key_of = key_of
        self._heard = heard
        self._due: dict[str, bytes] = {}
        self._sent: dict[str, None] = {}
        self._rest = b""

    def was_sent(self, key: str) -> bool:
        """Whether the line of this key is written."""
        return key in self._sent

    def owe(self, key: str, message: Mapping[str, Any]) -> None:
        """Note a line that is due, unless it was sent."""
        if key not in self._sent:
            self._due[key] = line(message)

    def write(self, key: str, message: Mapping[str, Any]) -> bytes:
        """A line that is written now."""
        self._due.pop(key, None)
        self._remember(key)
        return self._whole(line(message))

    def take(self) -> bytes:
        """All that is due; it counts as written from here on."""
        due, self._due = self._due, {}
        for key in due:
            self._remember(key)
        return b"".join(map(self._whole, due.values()))

    def sent(self, data: bytes) -> None:
        """Hear what was written before; the last line may have been cut by the restart."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for part in lines:
            try:
                message = json.loads(part)
            except (ValueError, RecursionError):
                continue  # A line that was cut, then ended: the program refused it as well.
            if isinstance(message, dict):
                key = self._key_of(message)
                self._due.pop(key, None)
                self._remember(key)
                self._heard(message)

    def _whole(self, new: bytes) -> bytes:
        """What completes a line that was cut, or ends it first where it was another."""
        rest, self._rest = self._rest, b""
        return new[len(rest) :] if new.startswith(rest) else b"\n" + new

    def _remember(self, key: str) -> None:
        if len(self._sent) >= REMEMBERED:
            self._sent.pop(next(iter(self._sent)))
        self._sent[key] = None
