"""Weights from outcomes: a logistic model fitted by Newton's method, in plain Python. Pure.

The same rows always give the same weights: nothing is drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

_MOST_STEPS = 100
_SETTLED = 1e-10
_FARTHEST = 500.0
"""Beyond it `exp` would leave the numbers that there are."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit found: `probability(row)` is how likely a row is right."""

    bias: float
    weights: tuple[float, ...]

    def logit(self, row: Sequence[float]) -> float:
        """The sum that stands for the row."""
        return self.bias + math.fsum(w * x for w, x in zip(self.weights, row, strict=True))

    def probability(self, row: Sequence[float]) -> float:
        """How likely it is that the row is right."""
        return sigmoid(self.logit(row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What a fit is drawn to where rows say little, and how strongly.

    `ridge` draws the weights to `toward` (zero where it is empty), `bias_ridge` the bias to zero.
    `signs` says of each weight which side it must not leave: 1 is at least zero, -1 at most, 0 any.
    """

    ridge: float = 1.0
    toward: tuple[float, ...] = ()
    bias_ridge: float = 1e-6
    signs: tuple[int, ...] = ()


DEFAULT_PULL = Pull()


def sigmoid(logit: float) -> float:
    """The probability that a logit stands for."""
    if logit >= 0:
        return 1 / (1 + math.exp(-min(logit, _FARTHEST)))
    grown = math.exp(max(logit, -_FARTHEST))
    return grown / (1 + grown)


def fit(
    rows: Sequence[Sequence[float]], labels: Sequence[bool], pull: Pull = DEFAULT_PULL
) -> Fitted:
    """The weights that make the labels likeliest, under the pull.

    A weight that would leave its side stays at zero, and the others are found without it.

    Raises:
        ValueError: there are no rows, or rows, labels and pull do not fit together.
    """
    width = _checked(rows, labels, pull)
    free = set(range(width))
    while True:
        found = _newton(rows, labels, pull, sorted(free))
        wrong = {
            i for i, sign in enumerate(pull.signs) if i in free and sign * found.weights[i] < 0
        }
        if not wrong:
            return found
        free -= wrong


def _checked(rows: Sequence[Sequence[float]], labels: Sequence[bool], pull: Pull) -> int:
    if not rows or len(rows) != len(labels):
        raise ValueError(f"{len(rows)} rows with {len(labels)} labels cannot be fitted")
    width = len(rows[0])
    sizes = {len(row) for row in rows} | {len(p) or width for p in (pull.toward, pull.signs)}
    if sizes != {width}:
        raise ValueError(f"rows and pull differ in width: {sorted(sizes)}")
    return width


def _newton(
    rows: Sequence[Sequence[float]], labels: Sequence[bool], pull: Pull, free: list[int]
) -> Fitted:
    """Newton's steps over the bias and the free weights; the others are zero."""
    toward = [pull.toward[i] if pull.toward else 0.0 for i in free]
    # Most features of most rows are zero: only the others are gone through.
    sparse = [[(0, 1.0), *((at, row[i]) for at, i in enumerate(free, 1) if row[i])] for row in rows]
    centre = [0.0, *toward]
    ridges = [pull.bias_ridge, *[pull.ridge] * len(free)]
    now = list(centre)
    loss = _loss(sparse, labels, now, centre, ridges)
    for _ in range(_MOST_STEPS):
        step = _solve(*_slopes(sparse, labels, now, centre, ridges))
        size = 1.0
        while True:
            tried = [x - size * s for x, s in zip(now, step, strict=True)]
            lower = _loss(sparse, labels, tried, centre, ridges)
            if lower <= loss or size < _SETTLED:
                break
            size /= 2
        settled = max(abs(size * s) for s in step) < _SETTLED or loss - lower <= 0
        if lower < loss:
            now, loss = tried, lower
        if settled:
            break
    weights = [0.0] * len(rows[0])
    for at, i in enumerate(free, 1):
        weights[i] = now[at]
    return Fitted(now[0], tuple(weights))


_Sparse = list[list[tuple[int, float]]]


def _loss(
    rows: _Sparse,
    labels: Sequence[bool],
    now: list[float],
    centre: list[float],
    ridges: list[float],
) -> float:
    likely = (
        _softplus(-z if label else z)
        for z, label in zip((_sum(row, now) for row in rows), labels, strict=True)
    )
    pulled = (r * (x - c) ** 2 / 2 for r, x, c in zip(ridges, now, centre, strict=True))
    return math.fsum(likely) + math.fsum(pulled)


def _softplus(z: float) -> float:
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def _sum(row: list[tuple[int, float]], now: list[float]) -> float:
    return math.fsum(now[i] * x for i, x in row)


def _slopes(
    rows: _Sparse,
    labels: Sequence[bool],
    now: list[float],
    centre: list[float],
    ridges: list[float],
) -> tuple[list[list[float]], list[float]]:
    """The second and first derivatives of the loss."""
    size = len(now)
    first = [r * (x - c) for r, x, c in zip(ridges, now, centre, strict=True)]
    second = [[ridges[i] if i == j else 0.0 for j in range(size)] for i in range(size)]
    for row, label in zip(rows, labels, strict=True):
        p = sigmoid(_sum(row, now))
        slope, bend = p - float(bool(label)), max(p * (1 - p), 1e-12)
        for i, x in row:
            first[i] += slope * x
            line = second[i]
            for j, y in row:
                line[j] += bend * x * y
    return second, first


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """The solution of a symmetric positive system, by Gauss with the largest pivot."""
    size = len(right)
    lines = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    for i in range(size):
        best = max(range(i, size), key=lambda k: abs(lines[k][i]))
        lines[i], lines[best] = lines[best], lines[i]
        for k in range(i + 1, size):
            factor = lines[k][i] / lines[i][i]
            if factor:
                lines[k] = [a - factor * b for a, b in zip(lines[k], lines[i], strict=True)]
    found = [0.0] * size
    for i in reversed(range(size)):
        known = math.fsum(lines[i][j] * found[j] for j in range(i + 1, size))
        found[i] = (lines[i][size] - known) / lines[i][i]
    return found


@dataclass(frozen=True, slots=True)
class Platt:
    """How a project's outcomes bend a model's logits: `slope * logit + shift`."""

    slope: float = 1.0
    shift: float = 0.0

    def probability(self, logit: float) -> float:
        """The probability that a logit stands for here."""
        return sigmoid(self.slope * logit + self.shift)


def platt(logits: Sequence[float], labels: Sequence[bool], ridge: float = 5.0) -> Platt:
    """The bend that makes the labels likeliest; with few labels it stays near to none.

    The slope is never negative, so that more evidence never lowers a probability.
    """
    pull = Pull(ridge=ridge, toward=(1.0,), bias_ridge=ridge / 5, signs=(1,))
    found = fit([(logit,) for logit in logits], labels, pull)
    return Platt(found.weights[0], found.bias)


def leave_one_group_out(
    rows: Sequence[Sequence[float]],
    labels: Sequence[bool],
    groups: Sequence[Hashable],
    pull: Pull = DEFAULT_PULL,
) -> list[float]:
    """For each row its probability under a fit of all groups but its own, in the rows' order.

    Raises:
        ValueError: there is only one group.
    """
    if len(groups) != len(rows) or len(set(groups)) < 2:
        raise ValueError("each row needs its group, and there must be at least two groups")
    found = [0.0] * len(rows)
    for group in dict.fromkeys(groups):
        rest = [i for i, own in enumerate(groups) if own != group]
        fitted = fit([rows[i] for i in rest], [labels[i] for i in rest], pull)
        for i, own in enumerate(groups):
            if own == group:
                found[i] = fitted.probability(rows[i])
    return found
