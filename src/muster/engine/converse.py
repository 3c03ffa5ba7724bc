"""The engine's side of a conversation with a two-way program: what is due is said, once."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from muster.agents.base import Session
from muster.domain.errors import Conflict
from muster.engine.follow import Follower
from muster.engine.tools import in_thread
from muster.runtimes.rundir import RunDir

_PATIENCE = 5.0
"""Seconds in which a program ends that has said that it is done and hears no more."""


@dataclass(slots=True)
class Conversation:
    """Says what the session has due; after a restart it goes on where the run's record ends."""

    session: Session
    follower: Follower
    _closed_at: float | None = None

    async def catch_up(self) -> None:
        """Hear what an earlier process told the program."""
        self.session.sent(await in_thread(RunDir(self.follower.run_dir).told))

    async def go_on(self) -> None:
        """Answer what the program asked for; see it to its end when it has said that it is done.

        A program that is over cannot be told anything, and need not be.
        """
        runtime, run_dir = self.follower.runtime, self.follower.run_dir
        with contextlib.suppress(Conflict):
            if due := self.session.replies():
                await runtime.send(run_dir, due)
            if self.session.finished and self._closed_at is None:
                self._closed_at = time.monotonic()
                await runtime.end_input(run_dir)
        if self._closed_at is not None and time.monotonic() - self._closed_at > _PATIENCE:
            await self.follower.stop("closed")
