"""A figure: what was measured, the bar it has to reach, and whether it does."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


class Broken(Exception):
    """What was to be measured does not work, so there is no figure."""


@dataclass(frozen=True)
class Plan:
    """How much is measured: rounds whose medians count, or a tiny form that only shows it works."""

    rounds: int = 5
    tiny: bool = False

    def of(self, full: int, tiny: int) -> int:
        """A count of the full form, or its stand-in in the tiny one."""
        return tiny if self.tiny else full


@dataclass(frozen=True)
class Figure:
    """One measured value. Without a bar it is only told; without a value it cannot be had here."""

    name: str
    value: float | None
    unit: str
    bar: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the bar is reached."""
        if self.value is None:
            return "not measurable here"
        if self.bar is None:
            return "told"
        good = self.value >= self.bar if self.at_least else self.value <= self.bar
        return "reached" if good else "MISSED"

    @property
    def shown(self) -> str:
        """The value with its unit, in about three digits."""
        return "–" if self.value is None else f"{short(self.value)} {self.unit}".strip()

    @property
    def shown_bar(self) -> str:
        """The bar with its direction and unit."""
        sign = "≥" if self.at_least else "≤"
        return "" if self.bar is None else f"{sign} {short(self.bar)} {self.unit}".strip()

    def document(self) -> dict[str, Any]:
        """The figure for `--json`."""
        return {**asdict(self), "verdict": self.verdict}


def short(value: float) -> str:
    """A number as people read it: thousands without, small ones with decimals."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    for limit, digits in ((0.1, 4), (1, 3), (10, 2), (100, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of all lies, taken from the values themselves."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
