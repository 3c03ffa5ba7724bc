"""The counter's part for agents: who works, what they said, and how to stop them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from muster.domain.agent import LIVE, Agent
from muster.domain.errors import Conflict, Invalid, NotFound
from muster.domain.plain import plain
from muster.domain.task import ACTIVE, HOLDS_A_SLOT, Task
from muster.domain.telling import text
from muster.runtimes.rundir import LogPage, RunDir
from muster.service import shapes
from muster.service.desk import Desk
from muster.store import agents, keys, tasks, words
from muster.store.base import Tx

PAGE_BYTES = 65_536
MOST_BYTES = 1_048_576
WORD_BYTES = 64_000
MOST_WORDS = 100
_LOOK_AGAIN, _LOOK_OFTEN = 1.0, 0.05


class Agents(Desk):
    """Everything a door can ask about agents."""

    async def list_agents(
        self,
        task: str | None = None,
        status: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> dict[str, Any]:
        """A page of agents, newest first."""

        def read(tx: Tx) -> dict[str, Any]:
            task_id = tasks.get_task(tx, task).id if task else None
            cursor = _cursor(tx, after)
            found = agents.list_agents(
                tx, task_id=task_id, status=status, after=cursor, limit=limit + 1
            )
            page = found[:limit]
            items = [self._agent_shape(tx, a) for a in page]
            return {"items": items, "next": page[-1].id if found[limit:] else None}

        return await self._store.read(read)

    async def active_agents(self) -> dict[str, Any]:
        """The agents that are starting or running now."""

        def read(tx: Tx) -> dict[str, Any]:
            found = agents.list_agents(tx, live_only=True, limit=1000)
            return {"items": [self._agent_shape(tx, a) for a in found], "next": None}

        return await self._store.read(read)

    async def get_agent(self, agent_id: str) -> dict[str, Any]:
        """One agent."""
        return await self._store.read(
            lambda tx: self._agent_shape(tx, agents.get_agent(tx, agent_id))
        )

    def _agent_shape(self, tx: Tx, agent: Agent) -> dict[str, Any]:
        return shapes.agent_shape(agent, tasks.get_task(tx, agent.task_id).label)

    async def agent_logs(
        self,
        agent_id: str,
        offset: int | None = None,
        limit: int = PAGE_BYTES,
        tail: int | None = None,
    ) -> dict[str, Any]:
        """A page of what an agent wrote, by byte offset; `tail` counts bytes from the end.

        Raises:
            NotFound: there is no such agent.
        """
        agent = await self._store.read(agents.get_agent, agent_id)
        run = self._run(agent.id)
        size = await asyncio.to_thread(run.log_size)
        start = offset if offset is not None else max(0, size - tail) if tail is not None else 0
        if start > size:
            raise Invalid(
                f"offset {start} is past the end ({size})", hint="go on from the last 'next'"
            )
        page = await asyncio.to_thread(run.log, start, max(1, min(limit, MOST_BYTES)))
        return {
            "items": [_item_shape(i) for i in page.items],
            "next": page.next,
            "truncated": _gap_shape(page),
            "ended": agent.status not in LIVE and page.next >= size,
        }

    async def follow_logs(
        self, agent_id: str, offset: int | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """What an agent writes, as it writes it, from a byte offset (else the last 64 KiB).

        Gives `{event, id, data}`: `log` pieces, `truncated` gaps, and one `end`.
        """
        agent = await self._store.read(agents.get_agent, agent_id)
        run = self._run(agent.id)
        size = await asyncio.to_thread(run.log_size)
        position = max(0, size - PAGE_BYTES) if offset is None else min(offset, size)
        while True:
            seen = self._store.feed.rev
            agent = await self._store.read(agents.get_agent, agent_id)
            while (page := await asyncio.to_thread(run.log, position, PAGE_BYTES)).next > position:
                gap = _gap_shape(page)
                if gap is not None:
                    yield {"event": "truncated", "id": gap["to"], "data": gap}
                for item in page.items:
                    shape = _item_shape(item)
                    yield {"event": "log", "id": item.end, "data": shape}
                position = page.next
            if agent.status not in LIVE:
                yield {"event": "end", "id": position, "data": end_shape(agent)}
                return
            await self._grown(run, position, seen)

    async def _grown(self, run: RunDir, position: int, seen: int) -> None:
        """Wait until the log may be longer or the store has news, which the kernel tells if it can.

        A run that is just being made has no folder to be told of yet.
        """
        with self._own.hints.of([run.path], grows=True) as came:
            if self._store.feed.rev > seen or await asyncio.to_thread(run.log_size) > position:
                return
            patience = _LOOK_AGAIN if came.sees else _LOOK_OFTEN
            news = asyncio.ensure_future(self._store.feed.wait(seen, patience))
            grown = asyncio.ensure_future(came.wait())
            try:
                await asyncio.wait((news, grown), return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
                grown.cancel()

    async def kill_agent(self, agent_id: str) -> dict[str, Any]:
        """Stop an agent; its task is cancelled.

        Raises:
            Conflict: the agent has ended.
        """

        def write(tx: Tx) -> dict[str, Any]:
            agent = agents.get_agent(tx, agent_id)
            task = tasks.get_task(tx, agent.task_id)
            if agent.status not in LIVE or task.stage not in ACTIVE:
                raise Conflict(
                    f"{agent_id} has already {agent.status}", hint="an ended agent stays as it is"
                )
            tasks.wish(tx, task.id, "cancel")
            return self._agent_shape(tx, agent)

        return await self._store.write(write)

    async def tell_agent(
        self,
        agent_id: str,
        body: Mapping[str, Any],
        by: str = "a person",
        key: str | None = None,
    ) -> dict[str, Any]:
        """Take a word for an agent at work: it is said in its running turn, or begins the next.

        What was accepted is said once, to the next attempt's agent if this one ends first.

        Raises:
            Conflict: the agent has ended, hears nothing any more, or is only given its prompt.
        """
        words_ = text(body, "text", WORD_BYTES).strip()

        def write(tx: Tx) -> dict[str, Any]:
            agent = agents.get_agent(tx, agent_id)
            task = tasks.get_task(tx, agent.task_id)
            _refuse_deaf(agent, task)
            if len(words.due(tx, agent.id)) >= MOST_WORDS:
                raise Conflict(
                    f"{MOST_WORDS} words wait for {agent.id} already",
                    hint="wait until it has heard some: muster agent show tells whether it works",
                )
            n = words.tell(tx, agent, words_, by)
            return {**self._agent_shape(tx, agent), "word": n}

        scoped = f"tell {agent_id} {key}" if key else None
        answer, _ = await self._store.write(keys.once, scoped, dict(body), write)
        return answer

    async def clear_away(self) -> dict[str, Any]:
        """Remove what is left of agents that have ended: workspaces, containers, folders."""
        return await self._own.clear_away()

    async def cassette_parts(self, agent_id: str) -> tuple[Agent, list[Any]]:
        """An agent with everything it wrote, for `muster record`.

        Raises:
            Conflict: the agent still runs.
        """
        agent = await self._store.read(agents.get_agent, agent_id)
        if agent.status in LIVE:
            raise Conflict(f"{agent_id} still runs", hint="record it when it has ended")
        run = self._run(agent.id)

        def read() -> list[Any]:
            items: list[Any] = []
            position = 0
            while (page := run.log(position, MOST_BYTES)).next > position:
                items.extend(page.items)
                position = page.next
            return items

        return agent, await asyncio.to_thread(read)

    def _run(self, agent_id: str) -> RunDir:
        return RunDir(self._own.settings.runs / agent_id)


def _refuse_deaf(agent: Agent, task: Task) -> None:
    """Raise `Conflict`, saying what to do instead, for an agent that cannot be told anything."""
    again = f"tell the next attempt: muster task retry {task.label} --note '…'"
    if agent.status not in LIVE or task.stage not in HOLDS_A_SLOT or task.wish:
        raise Conflict(f"{agent.id} has ended, or is being ended", hint=again)
    if agent.hears is None:
        raise Conflict(
            f"{agent.id} ({agent.driver}) is given its prompt and hears nothing after it",
            hint=f"cancel the task, then {again}",
        )
    if not agent.hears:
        raise Conflict(f"{agent.id} has said that it is done and hears no more", hint=again)


def _cursor(tx: Tx, after: str | None) -> tuple[int, str] | None:
    if not after:
        return None
    try:
        last = agents.get_agent(tx, after)
    except NotFound as error:
        raise Invalid(f"'{after}' is no place in this list", hint="use the 'next' of a page") from (
            error
        )
    return last.created_at, last.id


def _item_shape(item: Any) -> dict[str, Any]:
    return {
        "offset": item.offset,
        "time": shapes.moment(int(item.time * 1000)),
        "stream": item.stream,
        "text": item.text,
    }


def _gap_shape(page: LogPage) -> dict[str, int] | None:
    return {"from": page.truncated[0], "to": page.truncated[1]} if page.truncated else None


def end_shape(agent: Agent) -> dict[str, Any]:
    """How an agent ended, as the doors tell it."""
    return {
        "exit_code": agent.exit_code,
        "why": plain(agent.reason),
        "outcome": str(agent.outcome) if agent.outcome else None,
    }
