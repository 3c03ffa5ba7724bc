"""What is going on now, kept in memory by revision so that many viewers cost one read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from muster.domain.errors import Gone
from muster.domain.task import Status
from muster.web.counter import Counter, Row
from muster.web.phrases import moment

OPEN = tuple(s for s in Status if s not in {Status.COMPLETED, Status.FAILED, Status.CANCELLED})
ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
PAGE = 200
PAGES = 25
"""At most this many pages of unfinished tasks are read: 5,000."""
FIGURES_SECONDS = 1.0
"""The figures are counted anew at most this often."""


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def midnight(at: datetime) -> datetime:
    """When today began, where the server stands."""
    return at.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)


class Replica:
    """All unfinished tasks, those that ended today, and every open question.

    It follows the counter only when somebody asks, and then reads what changed since the last
    time; any number of viewers that ask together share one read.
    """

    def __init__(self, counter: Counter) -> None:
        """Know nothing yet."""
        self._counter = counter
        self._lock = asyncio.Lock()
        self._figures: dict[str | None, tuple[float, int, Row]] = {}
        self.rev = -1
        self.tasks: dict[str, Row] = {}
        self.asks: dict[str, Row] = {}
        self.touched: dict[str, int] = {}
        self.queue: Row = {}
        self.stopped: Row | None = None
        self.projects: list[Row] = []

    async def catch_up(self) -> int:
        """Read what is newer than what is known; the revision that is known then."""
        async with self._lock:
            newest = self._counter.current_rev()
            if self.rev < 0 or newest < self.rev:
                await self._load(newest)
            elif newest > self.rev:
                try:
                    await self._apply(await self._counter.changed_since(self.rev))
                except Gone:
                    await self._load(newest)
            return self.rev

    async def read_projects(self) -> list[Row]:
        """All projects, read anew; they change too seldom to be followed."""
        self.projects = list((await self._counter.list_projects())["items"])
        return self.projects

    def project(self, ref: str) -> Row | None:
        """The project of that name or id; without one, the only project there is."""
        if not ref:
            return self.projects[0] if len(self.projects) == 1 else None
        return next((p for p in self.projects if ref in (p["id"], p["name"])), None)

    async def _load(self, rev: int) -> None:
        # What changes while this reads is read again by the next `changed_since(rev)`.
        tasks: dict[str, Row] = {}
        for statuses, pages in ((OPEN, PAGES), (ENDED, 1)):
            async for task in self._all(statuses, pages):
                tasks[task["id"]] = task
        asks = await self._counter.list_breakpoints(open_only=True)
        self.tasks = tasks
        self.asks = {ask["id"]: ask for ask in asks["items"]}
        self.touched = {}
        await self._read_queue()
        self.rev = rev

    async def _read_queue(self) -> None:
        found = await self._counter.get_queue()
        self.queue, self.stopped = found["settings"], found["stopped"]

    async def _all(self, statuses: tuple[Status, ...], pages: int) -> AsyncIterator[Row]:
        named, after = ",".join(statuses), None
        for _ in range(pages):
            page = await self._counter.list_tasks(status=named, limit=PAGE, after=after)
            for task in page["items"]:
                yield task
            if page.get("next") is None:
                return
            after = int(page["next"])

    async def _apply(self, change: Row) -> None:
        for task in change["tasks"]:
            self.tasks[task["id"]] = task
            self.touched[task["id"]] = change["rev"]
        for ask in change["breakpoints"]:
            self.touched[ask["task_id"]] = change["rev"]
            if ask["open"]:
                self.asks[ask["id"]] = ask
            else:
                self.asks.pop(ask["id"], None)
        if change["queue"] or self._may_be_held(change["tasks"]):
            await self._read_queue()
        self.rev = max(self.rev, change["rev"])

    def _may_be_held(self, changed: list[Row]) -> bool:
        """Whether how many a stopped list holds back may be another number now."""
        return self.stopped is not None and any(t["list_position"] is not None for t in changed)

    @property
    def paused(self) -> bool:
        """Whether nothing new starts."""
        return bool(self.queue.get("paused"))

    @property
    def idle(self) -> bool:
        """Whether this server starts nothing, whatever waits."""
        return not self.queue.get("processor", True)

    def ask_of(self, task_id: str) -> Row | None:
        """The open question about a task, the oldest first."""
        found = [ask for ask in self.asks.values() if ask["task_id"] == task_id]
        return min(found, key=lambda ask: str(ask["created_at"])) if found else None

    def asked(self) -> dict[str, Row]:
        """The open question of each task that has one."""
        newest_first = sorted(self.asks.values(), key=lambda ask: str(ask["created_at"]))[::-1]
        return {ask["task_id"]: ask for ask in newest_first}

    def shown(self, project_id: str | None, at: datetime) -> Iterator[Row]:
        """The tasks of a project, or of all: unfinished, asked about, or ended today."""
        began, asked = midnight(at), self.asked()
        for task in self.tasks.values():
            if project_id is not None and task["project_id"] != project_id:
                continue
            ended = moment(task["finished_at"]) if task["status"] in ENDED else None
            if ended is None or ended >= began or task["id"] in asked:
                yield task

    def waiting_for(self, task_id: str) -> list[Row]:
        """The tasks that cannot start before this one is done."""
        found = [t for t in self.tasks.values() if task_id in t["needs"]]
        return sorted(found, key=lambda task: int(task["number"]))

    def team_of(self, task_id: str) -> list[Row]:
        """The workers that a task has spawned, and the manager that has spawned it."""
        manager = self.tasks.get(task_id, {}).get("parent_id")
        return [
            task
            for task in self.tasks.values()
            if task["parent_id"] == task_id or task["id"] == manager
        ]

    async def figures(self, project_id: str | None, at: float) -> tuple[Row, bool]:
        """The figures above the board, and whether they may be out of date by now.

        `at` is a monotonic time in seconds.
        """
        known = self._figures.get(project_id)
        if known and (known[1] == self.rev or at - known[0] < FIGURES_SECONDS):
            return known[2], known[1] != self.rev
        rev = self.rev
        figures = await self._counter.fleet(project_id)
        self._figures[project_id] = (at, rev, figures)
        return figures, rev != self.rev
