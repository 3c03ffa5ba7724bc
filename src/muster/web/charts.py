"""Charts as shapes in a view box: what a template draws as SVG, with a table beside it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from muster.web.counter import Row

WIDTH, HEIGHT = 320.0, 120.0
SQUARE = 180.0
_EDGE = 6.0
_SMALLEST_DOT, _LARGEST_DOT = 2.5, 8.0


@dataclass(frozen=True, slots=True)
class Column:
    """One bar of a chart over days; `says` names it and its value."""

    x: float
    y: float
    width: float
    height: float
    says: str


@dataclass(frozen=True, slots=True)
class Dot:
    """One point of a chart; `says` names it and its value."""

    x: float
    y: float
    r: float
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """Points, and a path through those that follow each other without a gap."""

    path: str
    dots: list[Dot]


def columns(values: Sequence[tuple[str, float, str]]) -> list[Column]:
    """Bars from (name, value, value in words), the highest as high as the chart."""
    most = max((value for _, value, _ in values), default=0.0)
    step = WIDTH / max(1, len(values))
    width = min(28.0, step * 0.72)
    found = []
    for n, (name, value, words) in enumerate(values):
        height = (HEIGHT - _EDGE) * value / most if most > 0 else 0.0
        x = n * step + (step - width) / 2
        found.append(
            Column(
                round(x, 1),
                round(HEIGHT - height, 1),
                round(width, 1),
                round(height, 1),
                f"{name}: {words}",
            )
        )
    return found


def shares(values: Sequence[tuple[str, float | None, str]]) -> Line:
    """Shares from 0 to 1 in their order; one that is None leaves a gap."""
    step = (WIDTH - 2 * _EDGE) / max(1, len(values) - 1)
    at: list[Dot | None] = [
        None
        if share is None
        else Dot(round(_EDGE + n * step, 1), _height(share), 3.0, f"{name}: {words}")
        for n, (name, share, words) in enumerate(values)
    ]
    pieces = []
    for before, dot in pairwise([None, *at]):
        if dot is not None:
            pieces.append(f"{'L' if before is not None else 'M'}{dot.x:g} {dot.y:g}")
    return Line("".join(pieces), [dot for dot in at if dot is not None])


def _height(share: float) -> float:
    return round(HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE), 1)


def reliability(bins: Sequence[Mapping[str, Any]]) -> list[Dot]:
    """Where each bin of stated confidences lies: said to the right, right upwards.

    On the diagonal it was as right as it said. A dot's area grows with how many it stands for.
    """
    known = [b for b in bins if b["count"]]
    most = max((b["count"] for b in known), default=1)
    span = SQUARE - 2 * _EDGE
    grows = _LARGEST_DOT - _SMALLEST_DOT
    return [
        Dot(
            round(_EDGE + b["said"] * span, 1),
            round(SQUARE - _EDGE - b["right"] * span, 1),
            round(_SMALLEST_DOT + grows * (b["count"] / most) ** 0.5, 1),
            f"said {b['said']:.2f}, right {b['right']:.2f}, {b['count']} verdicts",
        )
        for b in known
    ]


def bars(values: Sequence[tuple[float | None, float | None]]) -> list[tuple[float, float]]:
    """For each (half, most) their share of 100 of the largest there is."""
    most = max((high or 0.0 for _, high in values), default=0.0) or 1.0
    return [
        (round(100 * (low or 0.0) / most, 1), round(100 * (high or 0.0) / most, 1))
        for low, high in values
    ]


STAGES = (
    *("proposed", "blocked", "queued", "preparing", "running", "validating", "merging"),
    "waiting",
)
"""The stages of the walk, in its order."""


def stage_rows(stages: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Each stage in the order of the walk, with its bar."""
    known = [(name, stages[name]) for name in STAGES if name in stages]
    drawn = bars([(s["p50_seconds"], s["p95_seconds"]) for _, s in known])
    return [
        {"name": name, **spread, "half": half, "most": most}
        for (name, spread), (half, most) in zip(known, drawn, strict=True)
    ]
