"""The record of what an interactive run was told: without it nobody could go on with it."""

from __future__ import annotations

import os

from muster.domain.redact import Redactor
from muster.runtimes.layout import TOLD

_MOST_BYTES = 256 * 1024 * 1024
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


class Told:
    """Appends to the file in `folder`; a program that makes muster say too much hears no more."""

    def __init__(self, folder: str, redactor: Redactor) -> None:
        self._fd = os.open(f"{folder}/{TOLD}", _FLAGS, 0o600)
        self._redactor = redactor
        self._room = _MOST_BYTES

    def add(self, data: bytes) -> bool:
        """Write down what is about to be said; False when there is no room for it.

        Messages are lines, and no secret reaches over the end of one.
        """
        self._room -= len(data)
        if self._room < 0:
            return False
        safe = self._redactor.feed(data)
        if data.endswith(b"\n"):
            safe += self._redactor.flush()
        try:
            while safe:
                safe = safe[os.write(self._fd, safe) :]
        except OSError:  # the disk is full: what cannot be written down is not said
            return False
        return True
