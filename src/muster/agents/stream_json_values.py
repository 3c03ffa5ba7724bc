"""Values from a stranger's JSON, taken for what they should be or for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LARGEST = 2**53
MOST = 10**12
"""The largest count that is believed; millions of these can be added, and still be kept."""


def mapping(value: Any) -> Mapping[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> Sequence[Mapping[str, Any]]:
    """The objects in a list."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def word(value: Any) -> str:
    """A text, or an empty one."""
    return value if isinstance(value, str) else ""


def money(value: Any) -> float:
    """A number that is finite and not negative, or zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    # A whole number may be too large for a float; and no comparison with NaN is true.
    return float(min(value, LARGEST)) if value > 0 else 0.0


def count(value: Any) -> int:
    """A whole number that is not negative, or zero."""
    return min(int(money(value)), MOST)


def epoch(value: Any) -> float | None:
    """A moment in epoch seconds, given in seconds or milliseconds."""
    number = money(value)
    if number <= 0:
        return None
    return number / 1000 if number > 1e11 else number


def deep(value: Any, *names: str) -> Any:
    """A value within nested objects, or None."""
    for name in names:
        value = mapping(value).get(name)
    return value
