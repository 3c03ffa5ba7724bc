"""The walk of one task as a small graph: what it waits for, its five steps, what waits for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from muster.web.counter import Row
from muster.web.phrases import agent_name, count, moment, seconds_since, span
from muster.web.states import STEPS, State, standing

GAP, HEIGHT, ROW, TOP = 34, 40, 50, 8
MOST = 3
"""At most so many neighbours are drawn on either side; the rest is one node that counts them."""
NEIGHBOUR, STEP = 150, 134


@dataclass(frozen=True, slots=True)
class Node:
    """One box of the graph; `on` marks the step where the task stands."""

    x: float
    y: float
    width: float
    shape: str
    title: str
    sub: str = ""
    href: str = ""
    on: str = ""

    @property
    def middle(self) -> float:
        """Where lines meet it."""
        return self.y + HEIGHT / 2


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes and the lines between them, in the units of its view box."""

    width: float
    height: float
    nodes: list[Node]
    edges: list[tuple[str, str]]
    says: str


def _line(a: Node, b: Node) -> str:
    start, half = a.x + a.width, (b.x - a.x - a.width) / 2
    bend = f"{start + half:g} {a.middle:g} {start + half:g} {b.middle:g}"
    return f"M{start:g} {a.middle:g}C{bend} {b.x:g} {b.middle:g}"


def _column(x: float, rows: Sequence[Mapping[str, Any]], height: float) -> list[Node]:
    top = (height - (len(rows) * ROW - (ROW - HEIGHT))) / 2
    return [Node(x=x, y=top + n * ROW, width=NEIGHBOUR, **row) for n, row in enumerate(rows)]


def _neighbours(tasks: Sequence[Row], shapes: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = [
        {
            "title": task["label"],
            "sub": task["title"],
            "href": f"/tasks/{task['id']}",
            "shape": shapes[task["id"]],
        }
        for task in tasks[: MOST if len(tasks) <= MOST else MOST - 1]
    ]
    if len(tasks) > MOST:
        rest = len(tasks) - len(rows)
        rows.append({"title": f"{rest} more", "sub": "", "href": "", "shape": "queued"})
    return rows


def _took(task: Row, at: datetime) -> tuple[str, str]:
    """How long the newest attempt's agent has been at it, and how long the check took."""
    agents = task.get("agents") or []
    newest = max(agents, key=lambda a: (a["attempt"], str(a["created_at"])), default=None)
    if newest is None:
        return "", ""
    began, ended = newest["started_at"] or newest["created_at"], newest["ended_at"]
    coded = seconds_since(began, at) - (seconds_since(ended, at) if ended else 0)
    verdict = next((v for v in task.get("verdicts") or [] if v["attempt"] == task["attempt"]), None)
    checked = ""
    if ended and verdict:
        checked = span(
            max(0.0, seconds_since(ended, at) - seconds_since(verdict["created_at"], at))
        )
    return span(coded), checked


def _subs(task: Row, state: State, at: datetime) -> list[str]:
    coded, checked = _took(task, at)
    tries = f"attempt {task['attempt']}" if task["attempt"] > 1 else agent_name(task.get("agent"))
    code = " · ".join(filter(None, (tries if task["attempt"] else "", coded)))
    verdict = next((v for v in task.get("verdicts") or [] if v["attempt"] == task["attempt"]), None)
    check = checked
    if verdict:
        check = " · ".join(filter(None, ("passed" if verdict["passed"] else "not passed", checked)))
    decide = "waits for you" if state is State.NEEDS_YOU else _answered(task)
    merged = moment(task["finished_at"]) if task["status"] == "completed" else None
    merge = "done" if merged else ""
    return ["", code, check, decide, merge]


def _answered(task: Row) -> str:
    resolved = [d for d in task.get("decisions") or [] if d["attempt"] == task["attempt"]]
    return resolved[0]["step"].replace("_", " ") if resolved else ""


_SHAPE_HERE = {
    State.NEEDS_YOU: "needs_you",
    State.FAILED: "failed",
    State.REVIEW: "review",
    State.CANCELLED: "cancelled",
}


def graph(
    task: Row,
    state: State,
    before: Sequence[Row],
    after: Sequence[Row],
    shapes: Mapping[str, str],
    at: datetime,
) -> Graph:
    """Lay out the walk; `shapes` names the glyph of every neighbour by its id."""
    left, right = _neighbours(before, shapes), _neighbours(after, shapes)
    rows = max(1, len(left), len(right))
    height = rows * ROW - (ROW - HEIGHT) + 2 * TOP
    x = 2.0
    nodes_before = _column(x, left, height)
    x += NEIGHBOUR + GAP if left else 0
    here, subs = standing(task), _subs(task, state, at)
    steps = []
    for n, title in enumerate(STEPS):
        shape = "done" if n < here else _SHAPE_HERE.get(state, "running") if n == here else "queued"
        steps.append(
            Node(
                x=x,
                y=(height - HEIGHT) / 2,
                width=STEP,
                shape=shape,
                title=title,
                sub=subs[n],
                on=shape if n == here else "",
            )
        )
        x += STEP + GAP
    nodes_after = _column(x, right, height)
    x += NEIGHBOUR + GAP if right else 0
    edges = [
        (_line(node, steps[0]), "done" if node.shape == "done" else "") for node in nodes_before
    ]
    edges += [(_line(a, b), "done" if n < here else "") for n, (a, b) in enumerate(pairwise(steps))]
    edges += [
        (_line(steps[-1], node), "done" if here == len(STEPS) else "") for node in nodes_after
    ]
    nodes = [*nodes_before, *steps, *nodes_after]
    return Graph(x - GAP + 2, height, nodes, edges, _says(steps, before, after))


def _says(steps: Iterable[Node], before: Sequence[Row], after: Sequence[Row]) -> str:
    walk = ", ".join(f"{s.title.lower()}: {s.shape.replace('_', ' ')}" for s in steps)
    needs = f"; waits for {count(len(before), 'task')}" if before else ""
    holds = f"; {count(len(after), 'task')} after it" if after else ""
    return f"Five steps. {walk}{needs}{holds}"
