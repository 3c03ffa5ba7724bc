"""The engine's side of a conversation with a two-way program: what is due is said, once."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from muster.agents.base import Fact, Session
from muster.domain.agent import Agent
from muster.domain.errors import Conflict
from muster.domain.task import Task
from muster.engine.follow import Follower
from muster.engine.permit import Permits
from muster.engine.tools import Tools, in_thread
from muster.runtimes.rundir import RunDir
from muster.store import agents, words

_PATIENCE = 5.0
"""Seconds in which a program ends that has said that it is done and hears no more."""

_LOOK_AGAIN = 5.0
"""Seconds between looks at the store when nothing wakes us; wake-ups are only hints."""


@dataclass(slots=True)
class Conversation:
    """Says what the session has due, what was decided, and what people have to say.

    After a restart it goes on where the run's record ends.
    """

    tools: Tools
    task: Task
    agent: Agent
    session: Session
    follower: Follower
    permits: Permits
    _closed_at: float | None = None
    _is_over: bool = False
    _seen: int = -1
    _seen_at: float = 0.0

    async def catch_up(self) -> None:
        """Hear what an earlier process told the program, and be woken by news from here on."""
        self.session.sent(await in_thread(RunDir(self.follower.run_dir).told))
        feed = self.tools.store.feed
        self.follower.news = lambda: feed.wait_moved(self._seen, _LOOK_AGAIN)

    def hear(self, fact: Fact) -> None:
        """Take in what the program reported."""
        if fact.kind == "permission":
            self.permits.asked(fact.data)

    async def go_on(self) -> None:
        """Answer what the program asked for; see it to its end when it has said that it is done."""
        look = self._has_news()
        if due := self.session.replies() + await self.permits.due(look):
            await self._say(due)
        if self._closed_at is None and (look or self.session.finished):
            await self._tell()
        if (
            self._closed_at is None
            and self.session.finished
            and await self._has_no_more_to_do()
            and await self._is_all()
        ):
            self._closed_at = time.monotonic()
            with contextlib.suppress(Conflict):
                await self.follower.runtime.end_input(self.follower.run_dir)
        if self._closed_at is not None and time.monotonic() - self._closed_at > _PATIENCE:
            await self.follower.stop("closed")

    async def _say(self, line: bytes) -> bool:
        """Write to the program; one that is over cannot be told anything, and need not be."""
        try:
            heard = await self.follower.tell(line, self.tools.idle_seconds)
        except Conflict:
            heard = False
        self._is_over = self._is_over or not heard
        return not self._is_over

    def _has_news(self) -> bool:
        """Whether the store may hold something for this run that was not seen yet."""
        moved, now = self.tools.store.feed.moved, time.monotonic()
        if moved == self._seen and now - self._seen_at < _LOOK_AGAIN:
            return False
        self._seen, self._seen_at = moved, now
        return True

    async def _tell(self) -> None:
        """Say what people told the agent, in order, as far as it can hear it now.

        The record knows how many words were said: one that is in it is not said again.
        """
        store = self.tools.store
        for word in await store.read(words.due, self.agent.id):
            if self._is_over:
                return
            if word.n > self.session.words:
                try:
                    line = self.session.say(word.text)
                except Conflict:  # not yet, or never
                    return
                if not await self._say(line):
                    return
            await store.write(words.said, self.task, self.agent.id, word.n)

    async def _has_no_more_to_do(self) -> bool:
        """Whether the end of a turn is the end; who was given no wish stays until it sums up."""
        if not self.task.listens:
            return True
        now = await self.tools.store.read(agents.get_agent, self.agent.id)
        return now.result is not None

    async def _is_all(self) -> bool:
        """Take no more words, unless there is one by now that it has still to be told."""
        store = self.tools.store
        if await store.write(words.stop_hearing, self.task, self.agent.id):
            return True
        await self._tell()
        if not self.session.finished and not self._is_over:
            return False
        # It cannot be told: it is over, never began, or is broken.
        return await store.write(words.stop_hearing, self.task, self.agent.id, whatever_waits=True)
