"""The engine's side of a manager: where it runs, what it is judged by, and its workers by files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from muster.domain.agent import Agent, Outcome
from muster.domain.errors import Invalid
from muster.domain.task import TERMINAL, Task
from muster.domain.verdict import Finding
from muster.engine.mailbox import Mailbox
from muster.engine.tools import Job, Tools, in_thread, place_named, place_of
from muster.runtimes.base import Runtime
from muster.store import agents, judgements
from muster.store.base import Tx
from muster.store.workers import workers_of
from muster.supervision.workers import Worked, is_over, judge_workers

_BEST = "docker"
_LOOK_AGAIN = 5.0


async def place_to_manage(tools: Tools, job: Job) -> Runtime:
    """Where a manager runs: where it was told to, else in a container, else where all do.

    Raises:
        Invalid: it was told to run on another machine.
    """
    container = tools.runtimes.get(_BEST)
    if not place_named(tools, job) and container and not await in_thread(container.available):
        return container
    place = await place_of(tools, job)
    if not place.distance.loopback:
        raise Invalid(
            f"a manager cannot run in {place.name}: it would have no way back to muster from there",
            hint="run it in docker, sandbox, tmux or process",
        )
    return place


async def examine_workers(
    tools: Tools, task: Task, agent: Agent, summary: Mapping[str, Any] | None
) -> list[Finding]:
    """The findings about a manager that has ended, once its workers are judged or it is wished."""
    outcome = agent.outcome or Outcome.FAILED
    while True:
        seen = tools.store.feed.moved
        team = await tools.store.read(_team, task.id)
        wished = tools.wish(task.id).is_set()
        if wished or is_over(outcome, summary, [worked.task for worked in team]):
            found = judge_workers(outcome, agent.reason, summary, team, had_wish=not task.listens)
            return list(found)
        await tools.store.feed.wait_moved(seen, _LOOK_AGAIN)


def _team(tx: Tx, task_id: str) -> list[Worked]:
    return [
        Worked(worker, judgements.has_passed(tx, worker.id)) for worker in workers_of(tx, task_id)
    ]


@contextlib.asynccontextmanager
async def told_of_workers(tools: Tools, task: Task, mailbox: Mailbox) -> AsyncIterator[None]:
    """Put into a manager's mailbox what becomes of its workers, until the end of the block."""
    if not task.manages:
        yield
        return
    teller = asyncio.ensure_future(_Teller(tools, task, mailbox).go_on())
    try:
        yield
    finally:
        teller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await teller


@dataclass
class _Teller:
    """Writes each worker's state and, at its end, its result; after a restart once more."""

    tools: Tools
    task: Task
    mailbox: Mailbox
    _known: dict[str, int] = field(default_factory=dict)

    async def go_on(self) -> None:
        """Look whenever the store has news."""
        feed = self.tools.store.feed
        while True:
            seen = feed.moved
            for worker, status, result in await self.tools.store.read(self._news):
                await in_thread(self.mailbox.deliver, "status", str(worker.errand), status)
                if result is not None:
                    await in_thread(self.mailbox.deliver, "results", str(worker.errand), result)
                self._known[worker.id] = worker.rev
            await feed.wait_moved(seen, _LOOK_AGAIN)

    def _news(self, tx: Tx) -> list[tuple[Task, dict[str, Any], dict[str, Any] | None]]:
        team = workers_of(tx, self.task.id)
        return [
            (worker, _status(worker), _result(tx, worker) if worker.stage in TERMINAL else None)
            for worker in team
            if self._known.get(worker.id) != worker.rev
        ]


def _status(worker: Task) -> dict[str, Any]:
    return {
        "task_id": worker.errand,
        "label": worker.label,
        "status": str(worker.status),
        "text": worker.reason,
        "attempt": worker.attempt,
    }


def _result(tx: Tx, worker: Task) -> dict[str, Any]:
    """How a worker ended; what it said of itself is only its `output`."""
    said = agents.agent_of_attempt(tx, worker.id, worker.attempt)
    summary = said.result.get("summary") if said is not None and said.result else None
    ended = datetime.fromtimestamp((worker.finished_at or worker.updated_at) / 1000, UTC)
    return {
        "task_id": worker.errand,
        "label": worker.label,
        "status": str(worker.status),
        "output": summary or worker.reason,
        "completed_at": ended.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "passed": judgements.has_passed(tx, worker.id),
        "merged_commit": worker.merged_commit,
    }
