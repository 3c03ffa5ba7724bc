"""Conflicts between tasks under way, seen while their agents still work and told once."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from muster.domain.errors import GitFailed, MusterError
from muster.domain.task import Stage, Task
from muster.engine.forewarn import Forewarning, settle_and_tell
from muster.engine.points import at_work
from muster.engine.tools import Tools, in_thread, job_of
from muster.store import agents, foreseen
from muster.store.foreseen import Clash, Pair, UnderWay

log = logging.getLogger("muster.engine")

LOOK = 60.0
"""Seconds between looks at what agents are at, where at least two work on one project."""

_REST = 0.25
_SELDOM = 600.0
"""Seconds between looks at a workspace that cannot tell whether anything was changed in it."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A workspace as it was at a look, beside `points` checkpoints of its task."""

    attempt: int
    stamp: bytes | None
    commit: str
    points: int
    at: float

    def rests(self, attempt: int, stamp: bytes | None, now: float) -> bool:
        """Whether nothing can have changed since; where that is unknown, for a while."""
        same = (self.attempt, self.stamp) == (attempt, stamp)
        return same and (stamp is not None or now < self.at + _SELDOM)


@dataclass(slots=True)
class Foresight:
    """Compares the newest commits of tasks under way with each other and with their branch.

    What it remembers spares it work: nothing is lost with it.
    """

    tools: Tools
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _joined: dict[str, dict[Pair, tuple[str, ...]]] = field(default_factory=dict)
    _compared: dict[str, object] = field(default_factory=dict)
    _warning: Forewarning = field(default_factory=Forewarning)

    async def go_on(self) -> None:
        """Compare whenever a task has moved, and look at agents' workspaces now and then."""
        feed, looked = self.tools.store.feed, self.tools.clock()
        while True:
            seen, now = feed.moved, self.tools.clock()
            due = now >= looked + LOOK
            looked = now if due else looked
            await self.look(at_work=due)
            await asyncio.sleep(_REST)
            await feed.wait_moved(seen, looked + LOOK - now)

    async def look(self, *, at_work: bool = False) -> None:
        """Compare what is under way in each project; with `at_work` as it is in workspaces now."""
        try:
            if at_work:
                await self._look_at_work()
            async with self._one:
                found = await self.tools.store.read(foreseen.under_way)
                for project, state in found.items():
                    try:
                        await self._compare(project, state)
                    except MusterError as error:  # such as a repository that is away
                        log.info("conflicts in %s cannot be foreseen: %s", project, error)
                self._forget({task.id for state in found.values() for task in state.tasks})
        except Exception:  # no task may have to wait for want of a look
            log.exception("conflicts could not be foreseen; it is tried again")

    async def _look_at_work(self) -> None:
        """Take what is in the workspaces of agents that run, where there is another to compare."""
        for state in (await self.tools.store.read(foreseen.under_way)).values():
            running = [task for task in state.tasks if task.stage is Stage.RUNNING]
            for task in running if len(state.tasks) > 1 else ():
                try:
                    await self._see(task, state)
                except MusterError as error:  # it has just ended, or is on another machine
                    log.debug("the work of %s cannot be looked at: %s", task.label, error)

    async def _see(self, task: Task, state: UnderWay) -> None:
        agent = await self.tools.store.read(agents.agent_of_attempt, task.id, task.attempt)
        if agent is None:
            return
        now, spaces = self.tools.clock(), self.tools.workspaces
        stamp = await in_thread(lambda: spaces.stamp(spaces.get(agent.id)))
        known = self._seen.get(task.id)
        if known is not None and known.rests(task.attempt, stamp, now):
            return
        taken = await at_work(self.tools, task)
        points = state.points.get(task.id, (0, ""))[0]
        self._seen[task.id] = _Seen(task.attempt, stamp, taken.commit, points, now)

    def _commit(self, task: Task, state: UnderWay) -> str | None:
        """The newest commit of a task's work; None when it has none."""
        newest = task.result_commit
        if task.stage in {Stage.RUNNING, Stage.VALIDATING}:
            n, point = state.points.get(task.id, (0, newest))
            seen = self._seen.get(task.id)
            if seen is None or seen.attempt != task.attempt:
                newest = state.compared(task) or point  # before a restart it was seen as that
            else:
                newest = seen.commit if seen.points >= n else point
        return None if newest == task.base_commit else newest

    async def _compare(self, project: str, state: UnderWay) -> None:
        commits = {t.id: commit for t in state.tasks if (commit := self._commit(t, state))}
        tasks = [task for task in state.tasks if task.id in commits]
        if not tasks and not state.clashes:
            self._compared.pop(project, None)
            return
        branch, head = "", ""
        if tasks:
            job = await job_of(self.tools, tasks[0])
            branch, git_dir = job.project.branch, Path(job.project.git_dir)
            mirror = self.tools.workspaces.mirror(job.repo)
            head = await in_thread(mirror.fetch, git_dir, branch)
        if self._compared.get(project) != (head, commits):
            self._compared[project] = (head, commits)
            clashes = await in_thread(self._clashes, project, tasks, commits, head)
            if clashes != state.clashes:
                await self.tools.store.write(settle_and_tell, state.clashes, clashes, branch)
                state.clashes = clashes
        await self._warning.deliver(self.tools, state, branch)

    def _clashes(
        self, project: str, tasks: list[Task], commits: dict[str, str], head: str
    ) -> dict[Pair, Clash]:
        """What cannot be joined: tasks with each other, and with the branch (a pair of itself)."""
        before, joined = self._joined.get(project, {}), dict[Pair, tuple[str, ...]]()
        found: dict[Pair, Clash] = {}
        pairs = [*((t, t) for t in tasks), *combinations(sorted(tasks, key=_number), 2)]
        for one, two in pairs:
            ends = (head if one is two else commits[one.id], commits[two.id])
            known = before.get(ends)
            joined[ends] = self._paths(project, *ends) if known is None else known
            if joined[ends]:
                here, there = ends if one is not two else reversed(ends)
                found[one.id, two.id] = Clash(joined[ends], here, there)
        self._joined[project] = joined
        return found

    def _paths(self, project: str, one: str, other: str) -> tuple[str, ...]:
        try:
            return self.tools.workspaces.conflicting(project, one, other)
        except GitFailed as error:  # such as histories that have nothing in common
            log.info("%s and %s cannot be compared: %s", one[:12], other[:12], error)
            return ()

    def _forget(self, under_way: set[str]) -> None:
        """Keep nothing of tasks that have ended."""
        for task_id in set(self._seen) - under_way:
            del self._seen[task_id]
        self._warning.forget(under_way)


def _number(task: Task) -> int:
    return task.number
