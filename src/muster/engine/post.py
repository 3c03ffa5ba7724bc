"""What an agent says by files, brought from its mailbox into the store while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from muster.domain.agent import Agent
from muster.domain.errand import errand_of
from muster.domain.errors import Conflict, Invalid, Stale
from muster.domain.event import NewEvent
from muster.domain.secret_names import secrets_in
from muster.domain.task import Task
from muster.domain.telling import PROGRESS_BYTES, SUMMARY_BYTES, Telling
from muster.engine.mailbox import MOST, Letter, Mailbox
from muster.engine.tools import Tools, in_thread
from muster.settings import resolve
from muster.store import agents, events, keys, projects, workers
from muster.store.base import Tx
from muster.supervision.reports import REPORTING, with_report

_PAUSE = 0.2
_MOST_TOLD = 20

Act = Callable[[Tx], None]


@contextlib.asynccontextmanager
async def delivered(
    tools: Tools, task: Task, agent: Agent, mailbox: Mailbox
) -> AsyncIterator[None]:
    """Bring in what comes into the mailbox until the end of the block, and then what is left."""
    post = _Post(tools, task, agent, mailbox)
    with tools.hints.of([mailbox.folder / box for box in mailbox.boxes]) as came:
        if not mailbox.empty():
            came.set()  # what came before anybody told of it
        rounds = asyncio.ensure_future(post.go_round(came))
        try:
            yield
        except BaseException:
            rounds.cancel()
            await asyncio.wait([rounds])
            raise
        # A round that has begun is not broken off: what it has looked at is not looked at again.
        post.over.set()
        came.set()
        await rounds
    if not mailbox.empty():
        while await post.bring(last=True):
            pass


@dataclass
class _Post:
    """The way from one mailbox to the store; the same rules as for the tools of an agent."""

    tools: Tools
    task: Task
    agent: Agent
    mailbox: Mailbox
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _told: int = 0

    @cached_property
    def _telling(self) -> Telling:
        # Only once something is told: making it costs more than the rest of an empty mailbox.
        return Telling(secrets_in(self.tools.settings.environ))

    async def go_round(self, came: asyncio.Event) -> None:
        """Look when something came, and now and then."""
        while not self.mailbox.closed():
            await _within(self.tools.look_again_seconds, came)
            if self.over.is_set():
                return
            came.clear()
            await self.bring()
            await _within(_PAUSE, self.over)

    async def bring(self, *, last: bool = False) -> bool:
        """Keep what is good, lay aside what is not, and say so; whether there was anything."""
        if self.mailbox.closed():
            return False
        found = await in_thread(self.mailbox.look, last)
        for letter in found:
            why = letter.refused
            if not why:
                try:
                    await self.tools.store.write(await in_thread(self._act, letter))
                    self.mailbox.done(letter)
                except Stale:
                    raise
                except (Invalid, Conflict) as no:
                    why = f"{no.detail}. {no.hint}"
            if why:
                self.mailbox.reject(letter, why)
                await self._tell(f"{letter.box}/{letter.name}", why)
        if self.mailbox.closed():
            await self._tell("", f"more than {MOST} files in one run; nothing more is taken", 1)
        return bool(found)

    def _act(self, letter: Letter) -> Act:
        """What a letter does in the store; what is brought twice, as after a crash, is done once.

        Raises:
            Invalid: it cannot be kept.
        """
        said = letter.document
        if letter.box == "status":
            return self._status(said)
        if letter.box == "tasks":
            return self._errand(said)
        act = self._result(said) if letter.box == "results" else self._event(said)
        which = f"{letter.box}/{letter.name} {letter.stamp}".encode("utf-8", "surrogateescape")
        key = f"mail {self.agent.id} {hashlib.sha256(which).hexdigest()}"

        def verb(tx: Tx) -> dict[str, Any]:
            act(tx)
            return {}

        def once(tx: Tx) -> None:
            keys.once(tx, key, said, verb)

        return once

    def _status(self, said: Mapping[str, Any]) -> Act:
        words, percent = self._telling.words(said, "text", PROGRESS_BYTES), said.get("percent")
        number = isinstance(percent, (int, float)) and not isinstance(percent, bool)
        if percent is not None and not (number and 0 <= percent <= 100):
            raise Invalid("'percent' is no number from 0 to 100", hint="leave it out")
        more = {"progress": words, "percent": percent}
        line = {"last_line": words.splitlines()[-1][:200]}
        return lambda tx: agents.report(tx, self.task, self.agent.id, line, more)

    def _result(self, said: Mapping[str, Any]) -> Act:
        status, output = said.get("status"), said.get("output")
        words = output if isinstance(output, str) and output.strip() else str(status)
        reports = self.agent.role in REPORTING
        rest = {k: v for k, v in said.items() if k not in {"task_id", "status"}}
        data = said.get("data") if reports else rest
        told = self._telling.result(
            {"status": status, "summary": words[: SUMMARY_BYTES // 4], "data": data}
        )
        result = with_report(self.agent.role, told)
        return lambda tx: agents.hand_in(tx, self.task, self.agent.id, result)

    def _errand(self, said: Mapping[str, Any]) -> Act:
        """Spawn a worker, once: the file's name is the worker's."""
        errand = errand_of(said, self._telling)

        def verb(tx: Tx) -> None:
            agents.refuse_stale(tx, self.task)
            row = projects.get_project(tx, self.task.project_id)
            settings, _ = resolve(self.tools.settings, row.overrides, row.file_settings)
            known = {*self.tools.agent_names(), *row.file_settings.get("agents", {})}
            writers = self.tools.writers(row.file_settings.get("agents", {}))
            workers.spawn(
                tx,
                self.task,
                self.agent,
                errand,
                settings=settings,
                known_agents=known,
                writers=writers,
            )

        return verb

    def _event(self, said: Mapping[str, Any]) -> Act:
        kind, payload = self._telling.own_event(said)
        event = NewEvent(kind, self.agent.id, payload, self.task.project_id, self.task.id)

        def verb(tx: Tx) -> None:
            events.append(tx, event)

        return verb

    async def _tell(self, file: str, why: str, more: int = 0) -> None:
        """Say what was refused, at most so many times in a run."""
        if self._told >= _MOST_TOLD + more:
            return
        self._told += 1
        payload = {"file": self._shown(file), "why": why}
        event = NewEvent(
            "mailbox.refused", self.agent.id, payload, self.task.project_id, self.task.id
        )
        await self.tools.store.write(events.append, event)

    def _shown(self, file: str) -> str:
        """A stranger's name for a file, fit to keep."""
        name = file.encode("utf-8", "replace").decode()[:200]
        return self._telling.words({"file": name}, "file", 1000) if name else ""


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, but no longer than this."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
