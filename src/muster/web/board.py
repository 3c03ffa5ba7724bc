"""The fleet board: which card stands in which column, and what each part of the page says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from muster.domain.task import DEFAULT_PRIORITY, Stage, Status
from muster.domain.verdict import BreakpointKind
from muster.web import decisions
from muster.web.counter import Row
from muster.web.parts import Painter, Part, Remembered, by_id
from muster.web.phrases import plain
from muster.web.replica import Replica
from muster.web.states import LOOKS, State, bar, resolve

CARDS = 40
"""A column shows at most so many cards, then says how many more there are."""
ASKS = 4
RUNNING = 6
COLUMNS = {
    "queue": "Queue",
    "planning": "Planning",
    "working": "Working",
    "checking": "Checking",
    "done": "Done today",
}
EMPTY = {
    "queue": "Nothing waits for a slot",
    "planning": "Nothing is being planned",
    "working": "No agent is working",
    "checking": "Nothing is being checked",
    "done": "Nothing finished yet today",
}
_COLUMN: Mapping[str, str] = {
    Status.PROPOSED: "queue",
    Status.BLOCKED: "queue",
    Status.QUEUED: "queue",
    Status.PLANNING: "planning",
    Status.EXECUTING: "working",
    Status.MONITORING: "checking",
    Status.WAITING: "checking",
    Status.COMPLETED: "done",
    Status.FAILED: "done",
    Status.CANCELLED: "done",
}
_COLUMN_OF_QUESTION = {
    BreakpointKind.START: "queue",
    BreakpointKind.PROBLEM: "working",
    BreakpointKind.QUESTION: "working",
    BreakpointKind.PERMISSION: "working",
}
_CHECKING: Mapping[str, tuple[str, str]] = {
    Stage.MERGING: ("merge", "judging the evidence"),
    Stage.HANDED_ON: ("next", "waits for what comes next"),
}
_QUEUE_ORDER = {Status.QUEUED: 0, Status.PROPOSED: 1, Status.BLOCKED: 2}


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the fleet a page shows; all of it is in the address."""

    project: str = ""
    q: str = ""
    state: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        """Read them from an address."""
        state = query.get("state", "")
        known = state if state in set(State) else ""
        return cls(query.get("project", "")[:200], query.get("q", "").strip()[:200], known)

    def address(self, path: str = "/", **changes: str) -> str:
        """A path with these filters, and some of them changed."""
        kept = {k: v for k, v in {**asdict(self), **changes}.items() if v}
        return f"{path}?{urlencode(kept)}" if kept else path

    def let_through(self, task: Row, state: State) -> bool:
        """Whether a task is shown."""
        if self.state and state != self.state:
            return False
        words = f"{task['label']} {task['title']} {task['agent'] or ''} {task['type']}".casefold()
        return self.q.casefold() in words


@dataclass(frozen=True, slots=True)
class Standing:
    """A task with all that decides how its card looks."""

    task: Row
    ask: Row | None
    state: State

    @property
    def column(self) -> str:
        """The column it stands in."""
        if self.ask is not None and self.ask["kind"] in _COLUMN_OF_QUESTION:
            return _COLUMN_OF_QUESTION[self.ask["kind"]]
        return _COLUMN[self.task["status"]]

    @property
    def order(self) -> tuple[Any, ...]:
        """Where it stands in its column."""
        task = self.task
        if self.column == "queue":
            turn = (-task["priority"], task["list_position"] or 0, task["number"])
            return (_QUEUE_ORDER.get(task["status"], 0), turn)
        return (list(State).index(self.state), task["number"])


def standing_of(task: Row, ask: Row | None, paused: bool) -> Standing:
    """Resolve what a task shows."""
    state = resolve(Status(task["status"]), asked=ask is not None, held=paused)
    return Standing(task, ask, state)


def _tail(standing: Standing) -> tuple[str, str, str]:
    """The live last line of a card: a verb, its tone, and what is said."""
    task, live = standing.task, standing.task["live_agent"]
    match standing.state:
        case State.NEEDS_YOU:
            return "wait", "you", plain(standing.ask["question"] if standing.ask else "")
        case State.FAILED:
            return "fail", "bad", plain(task["reason"]) or "ended without passing"
        case State.RUNNING if task["wish"] == "cancel":
            return "stop", "bad", "being stopped"
        case State.RUNNING | State.PLANNING:
            verb = "prep" if task["stage"] == "preparing" else "run"
            said = plain(live["last_line"]) if live else ""
            return verb, "run", said or ("making a workspace" if verb == "prep" else "started")
        case State.REVIEW:
            verb, doing = _CHECKING.get(task["stage"], ("check", "judging the evidence"))
            return verb, "rev", plain(task["reason"]) or doing
        case _:
            return "", "", ""


def _beside(standing: Standing, first: bool) -> str:
    """What a waiting card says at its right edge."""
    task = standing.task
    match standing.state:
        case State.PAUSED:
            return "fleet paused"
        case State.BLOCKED:
            needs = task["needs_labels"]
            return f"after {needs[0]}" + (f" +{len(needs) - 1}" if len(needs) > 1 else "")
        case State.QUEUED if task["status"] == Status.PROPOSED:
            return "proposed"
        case State.QUEUED:
            return plain(task["reason"])[:24] or ("next up" if first else "")
        case _:
            return ""


def card(cards: Remembered, standing: Standing, at: datetime, *, first: bool = False) -> Part:
    """Draw one card, or one row where the work is done."""
    task, ended = standing.task, standing.column == "done"
    live = task["live_agent"]
    verb, tone, said = _tail(standing)
    context = {
        "task": task,
        "look": LOOKS[standing.state],
        "state": standing.state,
        "bar": () if standing.column == "queue" else bar(task, standing.state),
        "verb": verb,
        "tone": tone,
        "said": said,
        "beside": _beside(standing, first),
        "agent": task["agent"] or (live["driver"] if live else None),
        "since": (live["started_at"] if live else None) or task["started_at"],
        "usual": DEFAULT_PRIORITY,
        "now": at,
    }
    rev = standing.ask["rev"] if standing.ask else 0
    key = (task["id"], task["rev"], rev, standing.state, first, task["added"], task["removed"])
    id, template = f"card-{task['id']}", "part_row.html" if ended else "part_card.html"
    return cards.part(key, id, template, of=f"cards-{standing.column}", **context)


class Board:
    """What the fleet page shows at one moment."""

    def __init__(
        self, replica: Replica, filters: Filters, project: Row | None, at: datetime
    ) -> None:
        """Sort every task that is shown into its column."""
        self.filters, self.project, self.at = filters, project, at
        self._replica = replica
        asked = replica.asked()
        self.everything = [
            standing_of(task, asked.get(task["id"]), replica.paused)
            for task in replica.shown(project["id"] if project else None, at)
        ]
        self.columns: dict[str, list[Standing]] = {name: [] for name in COLUMNS}
        for standing in self.everything:
            if filters.let_through(standing.task, standing.state):
                self.columns[standing.column].append(standing)
        for name, found in self.columns.items():
            if name == "done":
                found.sort(key=lambda s: str(s.task["finished_at"] or ""), reverse=True)
            else:
                found.sort(key=lambda s: s.order)
        self.asks = decisions.by_weight(
            [a for a in replica.asks.values() if not project or a["project_id"] == project["id"]],
            at,
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all to show."""
        return not self.everything and not self.asks

    def parts(self, painter: Painter, cards: Remembered, figures: Row) -> dict[str, Part]:
        """Every part of the page, in order."""
        return by_id(self._parts(painter, cards, figures))

    def _parts(self, painter: Painter, cards: Remembered, figures: Row) -> Iterable[Part]:
        yield painter.part(
            "figures", "part_figures.html", figures=figures, asked=len(self.asks), now=self.at
        )
        yield held_part(painter, self._replica)
        yield painter.part("needs", "part_needs.html", **self._needs())
        yield painter.part("filtered", "part_filtered.html", filters=self.filters)
        yield painter.part("pause", "part_pause.html", paused=self._replica.paused)
        for name, found in self.columns.items():
            yield painter.part(
                f"head-{name}",
                "part_column_head.html",
                column=name,
                title=COLUMNS[name],
                number=len(found),
                beside=self._beside_title(name, found, figures),
            )
            for n, standing in enumerate(found[:CARDS]):
                yield card(cards, standing, self.at, first=name == "queue" and n == 0)
            yield painter.part(
                f"more-{name}",
                "part_more.html",
                more=max(0, len(found) - CARDS),
                empty=EMPTY[name] if not found else "",
            )

    def _beside_title(self, name: str, found: list[Standing], figures: Row) -> str:
        if name == "queue":
            blocked = sum(s.state is State.BLOCKED for s in found)
            return f"{blocked} blocked" if blocked else ""
        if name == "working":
            return f"limit {figures['agents_limit']}"
        failed = sum(s.state is State.FAILED for s in found) if name == "done" else 0
        return f"{failed} failed" if failed else ""

    def _needs(self) -> dict[str, Any]:
        return {
            "asks": [decisions.view(a) for a in self.asks[:ASKS]],
            "waiting": len(self.asks),
            "holding": sum(a["holds_back"] for a in self.asks),
            "oldest": min((a["created_at"] for a in self.asks), default=None),
            "tasks": self._replica.tasks,
            "inbox": self.filters.address("/inbox", q="", state=""),
            "now": self.at,
        }


def held_part(painter: Painter, replica: Replica) -> Part:
    """What nobody asks about and yet a person has to mend: a stopped list, a server that is off."""
    return painter.part("held", "part_held.html", stopped=replica.stopped, idle=replica.idle)


def shell_parts(painter: Painter, board: Board, current: str = "") -> Iterable[Part]:
    """The parts that every page has: how many decisions wait, and what is running."""
    running = [s for s in board.everything if s.state in {State.RUNNING, State.PLANNING}]
    running.sort(key=lambda s: str(s.task["started_at"] or ""), reverse=True)
    yield painter.part("count-rail", "part_count.html", waiting=len(board.asks))
    yield painter.part("count-bar", "part_count.html", waiting=len(board.asks))
    yield painter.part(
        "running",
        "part_running.html",
        running=[s.task for s in running[:RUNNING]],
        more=max(0, len(running) - RUNNING),
        current=current,
    )
