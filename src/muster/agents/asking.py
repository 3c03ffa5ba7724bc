"""What a two-way program is owed, and what it asks a person for: each is answered once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from muster.agents.in_mind import LARGEST, size_of
from muster.agents.outbox import Outbox
from muster.agents.said import one_line
from muster.domain.errors import Conflict

OPEN = 1000
"""Requests for permission that may wait at once; one more is refused, and one too large beside."""
LONGEST_ID = 200

Message = Mapping[str, Any]


class Asking(ABC):
    """The half of a session that writes; an answer has the key `answer ID`."""

    def __init__(self) -> None:
        self._out = Outbox(self._key, self._was_sent)
        self._asked: dict[str, Message] = {}
        self._sizes: dict[str, int] = {}

    def replies(self) -> bytes:
        """What is due now."""
        return self._out.take()

    def sent(self, data: bytes) -> None:
        """Hear what had been written before a restart."""
        self._out.sent(data)

    @property
    def waiting(self) -> Sequence[str]:
        """The ids of the permissions that are asked for and not answered."""
        return [number for number in self._asked if not self._out.was_sent(f"answer {number}")]

    @abstractmethod
    def _key(self, message: Message) -> str:
        """What a message that we sent was for."""

    @abstractmethod
    def _was_sent(self, message: Message) -> None:
        """Hear of a message that was written before a restart."""

    def _keep(self, number: str, request: Message) -> bool:
        """Let a request wait for an answer of a person; False when too many wait."""
        self._asked = {n: self._asked[n] for n in self.waiting}
        self._sizes = {n: self._sizes[n] for n in self._asked}
        size = size_of(request)
        if len(self._asked) >= OPEN or (self._asked and sum(self._sizes.values()) + size > LARGEST):
            return False
        self._asked[number], self._sizes[number] = request, size
        return True

    def _unanswered(self, number: str) -> Message:
        """A request that waits.

        Raises:
            Conflict: it does not, or not any more.
        """
        if number not in self.waiting:
            raise Conflict(
                f"no request for permission '{one_line(number)}' waits for an answer",
                hint="it may have been answered, or the agent may have given it up",
            )
        return self._asked[number]
