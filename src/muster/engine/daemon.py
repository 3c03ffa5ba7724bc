"""The loops: recover what an earlier process left, then follow the store and keep tasks moving."""

from __future__ import annotations

import asyncio
import logging

from muster.domain.errors import MusterError
from muster.domain.task import ACTIVE, Stage, Task
from muster.domain.verdict import OPTIONS, BreakpointKind
from muster.engine import attempt, conclude, dispatch, janitor, landing, planning
from muster.engine.abandoned import end_run, ended_for, left_alone
from muster.engine.aftermath import LookBack
from muster.engine.damage import mend_damage
from muster.engine.drop import Drop
from muster.engine.drop_folder import DropFolder
from muster.engine.durable import Durable
from muster.engine.foresee import Foresight
from muster.engine.router import lead_on
from muster.engine.tools import Tools, in_thread, job_of
from muster.store import claims, tasks
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move, move

log = logging.getLogger("muster.engine")

LOOK_AGAIN = 5.0
"""Seconds between looks at the store when nothing wakes the daemon; wake-ups are only hints."""

CLEAN_EVERY = 60.0
"""Seconds between looks for workspaces that nobody needs, and processes that nobody asks."""


async def hand_over(tools: Tools, task: Task, fault: Exception) -> None:
    """Ask a person about a task whose stage keeps failing; under `full` it fails.

    Its agent is ended: nobody follows it any more.
    """
    now = await tools.store.read(tasks.get_task, task.id)
    job = await job_of(tools, now)
    words = fault.detail if isinstance(fault, MusterError) else f"{type(fault).__name__}: {fault}"
    hint = fault.hint if isinstance(fault, MusterError) else "the server's log has the details"
    question = f"{now.label} could not go on ({now.stage}): {words}"
    full = job.autonomy == "full"
    kind = BreakpointKind.PROBLEM
    ask = NewBreakpoint(kind, question, tuple(map(str, OPTIONS[kind])), {"hint": hint})
    agent = await left_alone(tools, now)
    await tools.store.write(
        move,
        Move(
            Fence.of(now),
            Stage.FAILED if full else Stage.WAITING,
            words if not hint else f"{words}. {hint}",
            ask=None if full else ask,
            ended=ended_for(agent, f"its stage could not go on: {words}") if agent else None,
        ),
    )
    if agent is not None:
        await end_run(tools, agent)


class Daemon:
    """The engine at work in one process."""

    def __init__(self, tools: Tools, durable: Durable) -> None:
        """Join the stages to what they do."""
        self._tools = tools
        self._durable = durable
        self._loops: list[asyncio.Task[None]] = []
        self._back = LookBack(tools)
        self._drop = Drop(DropFolder(tools.settings.events), tools.store, tools.hints)
        self.foresight = Foresight(tools)
        self.adopted = 0
        durable.register(Stage.PLANNING, lambda task: planning.plan(tools, task))
        durable.register(Stage.PREPARING, self._prepare)
        durable.register(Stage.RUNNING, self._run)
        durable.register(Stage.VALIDATING, lambda task: conclude.conclude(tools, task))
        durable.register(Stage.MERGING, self._land)

    @property
    def live(self) -> int:
        """How many tasks are being worked on."""
        return len(self._durable.live())

    async def start(self) -> None:
        """Take over what an earlier process held, then begin to follow the store."""
        self.adopted = await self._durable.takeover()
        self._tools.aside("looking after work that rests", mend_damage(self._tools))
        self._tools.aside("trying where agents may run", self._tools.usual_place())
        self._loops = [
            asyncio.create_task(self._follow(), name="engine"),
            asyncio.create_task(self._clean(), name="janitor"),
            asyncio.create_task(self._drop.follow(), name="event files"),
            asyncio.create_task(self.foresight.go_on(), name="foresight"),
        ]

    async def stop(self) -> None:
        """Let go of everything; agents go on under their shims until the next start adopts them."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._durable.close()
        await self._tools.settle()
        for runtime in self._tools.runtimes.values():
            await runtime.close()

    async def _prepare(self, task: Task) -> Task:
        moved = task
        try:
            moved = await attempt.prepare(self._tools, task)
        finally:
            if moved.stage is not Stage.RUNNING:
                self._tools.turns.started(task.id)
        return moved

    async def _run(self, task: Task) -> Task:
        try:
            return await attempt.run(self._tools, task)
        finally:
            self._tools.turns.started(task.id)

    async def _land(self, task: Task) -> Task:
        moved = await landing.land(self._tools, task)
        if moved.stage in {Stage.COMPLETED, Stage.HANDED_ON} and moved.merged_commit:
            self._back.merged(task.project_id)
        return moved

    async def _follow(self) -> None:
        seen = 0
        while True:
            seen = self._tools.store.feed.moved
            try:
                wait = await self._look(seen)
            except Exception:  # the engine must outlive any one fault
                log.exception("the engine's loop met a fault; it goes on")
                wait = 1.0
            await self._tools.store.feed.wait_moved(seen, wait)

    async def _clean(self) -> None:
        while True:
            try:
                await janitor.sweep(self._tools)
                await janitor.sweep_places(self._tools)
                await self._back.now_and_then()
                await in_thread(self._tools.workspaces.rest, CLEAN_EVERY)
            except Exception:  # a full disk today must not end cleaning for ever
                log.exception("cleaning met a fault; it goes on")
            await asyncio.sleep(CLEAN_EVERY)

    async def _look(self, seen: int) -> float:
        """Pass wishes on, start what may start, find claims nobody works on; seconds to wait.

        `seen` is the number of an event that is known to the store by now.
        """
        await lead_on(self._tools)
        outlook = await self._tools.store.read(claims.outlook)
        for task_id in outlook.wished:
            self._tools.wish(task_id).set()
        working = self._durable.live()
        for task_id in outlook.held:
            if task_id not in working:
                await self._take_up(task_id)
        away = None if outlook.due is None else outlook.due / 1000 - self._tools.clock()
        some_wait = away is not None and away <= 0 and self._tools.settings.queue_processor
        if outlook.some_kept:  # one of them may have to wait for another one
            await self.foresight.look()
        admitted = await dispatch.admit(self._tools) if some_wait else []
        starting = [task for task in admitted if task.stage in ACTIVE]
        self._tools.turns.looked(seen, some_wait, [task.id for task in starting])
        for task in starting:
            self._tools.wishes.pop(task.id, None)
            self._durable.enqueue(task)
        return LOOK_AGAIN if away is None or away <= 0 else min(LOOK_AGAIN, max(0.02, away))

    async def _take_up(self, task_id: str) -> None:
        """Work on a claim that nobody works on, unless it has left the engine's hands by now."""
        task = await self._tools.store.read(tasks.get_task, task_id)
        if task.stage in ACTIVE:
            self._durable.enqueue(task)
