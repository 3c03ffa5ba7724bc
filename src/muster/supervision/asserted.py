"""What each test of a file asserts, and what it does besides: the one shape for all languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

ELSEWHERE = ""
"""The name under which stands what a file asserts outside of its tests, as in what they share."""


@dataclass(slots=True)
class Body:
    """What a test asserts, and what it does besides, each as often as it is there.

    `parts` is what its assertions are made of. `skipped` says that it is marked as one that is not
    run. `blanks` counts the values that are thrown away by name.
    """

    asserts: Counter[str] = field(default_factory=Counter)
    parts: set[str] = field(default_factory=set)
    does: Counter[str] = field(default_factory=Counter)
    skipped: bool = False
    blanks: int = 0


Tests = Mapping[str, Body]
"""The tests of a file by their names."""
