"""Many values in a few: how many, how much, and how they spread. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """How many values there are, their sum, and the one that half and 95 of 100 are not above."""

    count: int
    total: float
    p50: float | None
    p95: float | None


def spread_of(values: Iterable[float]) -> Spread:
    """The spread of some values; its percentiles are values that occur (nearest rank)."""
    ordered = sorted(values)
    return Spread(len(ordered), math.fsum(ordered), _rank(ordered, 0.5), _rank(ordered, 0.95))


def _rank(ordered: list[float], share: float) -> float | None:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
