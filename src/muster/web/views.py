"""What each page shows at one moment: the same parts for the first load and for every change."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from muster.domain.errors import MusterError, NotFound
from muster.web import decisions
from muster.web.board import Board, Filters, held_part, shell_parts
from muster.web.counter import Counter, Row
from muster.web.figures import SPANS, in_figures
from muster.web.parts import Painter, Part, Remembered, by_id
from muster.web.phrases import plain
from muster.web.replica import Replica, now
from muster.web.run import Run, checks

STEADY_SECONDS = 20.0
"""For so long figures are not counted again."""
KEPT = 64
"""So many pages are remembered for viewers who look at the same thing."""


@dataclass(frozen=True, slots=True)
class Look:
    """A page at one revision.

    `shape` names its outline; when that changes, the page has to be loaded again. `restless` means
    that something in it may already be out of date.
    """

    rev: int
    title: str
    waiting: int
    parts: Mapping[str, Part]
    shape: str
    restless: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lists(self) -> dict[str, list[str]]:
        """The items of each list, in order."""
        found: dict[str, list[str]] = {}
        for part in self.parts.values():
            if part.list:
                found.setdefault(part.list, []).append(part.id)
        return found


def _titled(waiting: int, *words: str) -> str:
    lead = f"({waiting}) " if waiting else ""
    return lead + " · ".join(filter(None, map(plain, words)))


class Views:
    """Looks at pages; looks are shared between those who look at the same page."""

    def __init__(self, counter: Counter, painter: Painter) -> None:
        """Look through this counter, draw with this painter."""
        self._counter = counter
        self._painter = painter
        self._cards = Remembered(painter)
        self._kept: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        self.replica = Replica(counter)

    async def look(self, page: str, query: Mapping[str, str], ref: str = "") -> Look:
        """One page as it is now.

        Raises:
            NotFound: there is no such page, project or task.
        """
        await self.replica.catch_up()
        filters = Filters.of(query)
        project = self.replica.project(filters.project)
        if filters.project and project is None:
            raise NotFound(
                f"there is no project '{filters.project}'", hint="muster project list shows them"
            )
        at = now()
        board = self._shared(
            ("board", filters, project["id"] if project else ""),
            self.replica.rev,
            lambda: Board(self.replica, filters, project, at),
        )
        if page == "fleet":
            return await self._fleet(board)
        if page == "task":
            return await self._task(board, ref, query, at)
        if page == "inbox":
            return await self._inbox(board, query, at)
        if page == "figures":
            return await self._figures(board, query)
        raise NotFound(f"there is no page '{page}'", hint="start from the fleet")

    def _shared(self, key: tuple[Any, ...], stamp: Any, make: Any) -> Any:
        """What was made for the same key and stamp, or is made now."""
        known = self._kept.pop(key, None)
        value = known[1] if known and known[0] == stamp else make()
        self._kept[key] = (stamp, value)
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return value

    def _drawn(self, board: Board, parts: Iterable[Part], current: str = "") -> dict[str, Part]:
        return {**by_id(parts), **by_id(shell_parts(self._painter, board, current))}

    async def _fleet(self, board: Board) -> Look:
        project = board.project
        figures, restless = await self.replica.figures(
            project["id"] if project else None, time.monotonic()
        )
        key = ("fleet", board.filters, project["id"] if project else "")
        parts = self._shared(
            key,
            (self.replica.rev, restless, id(figures)),
            lambda: self._drawn(board, board.parts(self._painter, self._cards, figures).values()),
        )
        empty = "none" if not self.replica.projects else "empty" if board.is_empty else "board"
        return Look(
            rev=self.replica.rev,
            title=_titled(len(board.asks), "Fleet", project["name"] if project else ""),
            waiting=len(board.asks),
            parts=parts,
            shape=f"fleet {empty}",
            restless=restless,
            context={"board": board, "filters": board.filters, "project": project, "empty": empty},
        )

    async def _task(self, board: Board, ref: str, query: Mapping[str, str], at: datetime) -> Look:
        task_id = self.replica.tasks[ref]["id"] if ref in self.replica.tasks else ref
        run_id, file = query.get("run", ""), query.get("file", "")
        near = (*self.replica.waiting_for(task_id), *self.replica.team_of(task_id))
        neighbours = [task["rev"] for task in near]
        touched = self.replica.touched.get(task_id, 0)
        stamp = (touched, self.replica.paused, tuple(neighbours), len(self.replica.asks))
        known = self._kept.get(("task", task_id, run_id, file))
        if known is None or known[0] != stamp:
            task = await self._counter.get_task(task_id)
            diff, why = await self._diff(task)
            run = Run(self.replica, task, run_id, at)
            made = (run, run.parts(self._painter, diff, why, file))
            self._shared(("task", task_id, run_id, file), stamp, lambda: made)
        else:
            made = known[1]
        run, parts = made
        waiting = len(board.asks)
        return Look(
            rev=self.replica.rev,
            title=_titled(waiting, f"{run.task['label']} {run.task['title']}", run.task["project"]),
            waiting=waiting,
            parts=self._drawn(board, parts.values(), run.task["id"]),
            shape="task" if run.shown else "task without a run",
            context={"run": run, "filters": board.filters, "project": board.project},
        )

    async def _figures(self, board: Board, query: Mapping[str, str]) -> Look:
        since = query.get("since") or SPANS[1][0]
        project = board.project
        key = ("figures", project["id"] if project else "", since)
        # To count takes a while; who looks again at once sees the same.
        stamp = int(time.monotonic() / STEADY_SECONDS)
        known = self._kept.get(key)
        if known is None or known[0] != stamp:
            found = await self._counter.metrics(project["id"] if project else None, since)
            self._shared(key, stamp, lambda: found)
        else:
            found = known[1]
        parts = [self._painter.part("figures-page", "part_metrics.html", **in_figures(found))]
        return Look(
            rev=self.replica.rev,
            title=_titled(len(board.asks), "Metrics", project["name"] if project else ""),
            waiting=len(board.asks),
            parts=self._drawn(board, parts),
            shape="figures",
            context={"filters": board.filters, "project": project, "since": since, "spans": SPANS},
        )

    async def _diff(self, task: Row) -> tuple[Row | None, str]:
        if not task["result_commit"]:
            return None, "The change appears here when an attempt has ended."
        key = ("diff", task["id"])
        stamp = (task["base_commit"], task["result_commit"])
        known = self._kept.get(key)
        if known is not None and known[0] == stamp:
            found: Row = known[1]
            return found, ""
        try:
            diff = await self._counter.task_diff(task["id"])
        except MusterError as error:
            return None, f"{error.detail[:1].upper()}{error.detail[1:]}."
        self._shared(key, stamp, lambda: diff)
        return diff, ""

    async def _inbox(self, board: Board, query: Mapping[str, str], at: datetime) -> Look:
        decided = query.get("view") == "decided"
        asks = board.asks
        if decided:
            everything = (await self._counter.list_breakpoints(open_only=False))["items"]
            project = board.project
            asks = [
                a
                for a in everything
                if not a["open"] and (project is None or a["project_id"] == project["id"])
            ]
            asks.sort(key=lambda a: str(a["resolved_at"]), reverse=True)
        chosen = next((a for a in asks if a["id"] == query.get("d")), None)
        shown = chosen or next(iter(asks), None)
        context: dict[str, Any] = {
            "asks": [decisions.view(a) for a in asks[:200]],
            "shown": decisions.view(shown) if shown else None,
            "chosen": chosen is not None,
            "decided": decided,
            "filters": board.filters,
            "now": at,
        }
        tasks = self.replica.tasks
        verdict = None
        if shown is not None and shown["open"]:
            detail = await self._counter.get_task(shown["task_id"])
            verdict = next(iter(checks(detail)), None)
        parts = [
            held_part(self._painter, self.replica),
            self._painter.part("in-list", "part_inbox_list.html", **context),
            self._painter.part(
                "in-detail",
                "part_inbox_detail.html",
                **context,
                task=tasks.get(shown["task_id"]) if shown else None,
                verdict=verdict,
                working=sum(t["status"] == "executing" for t in tasks.values()),
            ),
        ]
        return Look(
            rev=self.replica.rev,
            title=_titled(len(board.asks), "Inbox", board.project["name"] if board.project else ""),
            waiting=len(board.asks),
            parts=self._drawn(board, parts),
            shape=f"inbox {'chosen' if chosen else ''}",
            context={**context, "project": board.project},
        )
