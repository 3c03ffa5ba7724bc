"""The seam of conditions: what a rule may ask, of what, and how its wording is read.

A condition knows one kind of question (`cost`, `files`). It reads what a rules file says about it
(`read`) and answers it for facts (`look`). Both are pure; a condition starts nothing and stores
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from typing_extensions import override

from muster.domain.plain import plain_line
from muster.domain.verdict import Finding

LONGEST_TEXT = 500
MOST_ITEMS = 200


class NotKept(Exception):
    """A fact that was known once and was not kept; a condition that needs it does not tell."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when rules are asked; None is what is not known (yet).

    `events` counts what happened to the task, by kind. `call` is what the agent does just now, as
    (tool, command or path), `calls` the last ones, newest last. `seconds` is how long the attempt
    has worked, `quiet_seconds` how long it has told no fact while its processes did nothing,
    `idle_cost` the US dollars it spent since its files last changed. `refusals` says for each
    attempt, newest last, what its verdict refused, empty for nothing; `trees` what its files were.
    `claims` are the agent's own words at its end.
    """

    type: str = ""
    agent: str = ""
    attempt: int = 1
    events: Mapping[str, int] | None = None
    call: tuple[str, str] | None = None
    calls: tuple[tuple[str, str], ...] | None = None
    cost_usd: float | None = None
    budget_usd: float | None = None
    idle_cost: float | None = None
    seconds: float | None = None
    quiet_seconds: float | None = None
    findings: tuple[Finding, ...] | None = None
    step: str | None = None
    outcome: str | None = None
    claims: str | None = None
    files: tuple[str, ...] | None = None
    lines: int | None = None
    confidence: float | None = None
    refusals: tuple[str, ...] | None = None
    trees: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """That a condition holds: the values it saw, small and JSON-like.

    `cause` tells this time from others: a rule that held is not told again for the same cause.
    """

    values: Mapping[str, Any]
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a rules file, where (lines count from 1), and how to mend it."""

    line: int
    what: str
    remedy: str

    @override
    def __str__(self) -> str:
        """One line for people."""
        return f"line {self.line}: {self.what}; {self.remedy}"


@dataclass(slots=True)
class Given:
    """A value of a rules file with its line: plain, a list of `Given` or a dictionary of them.

    Each reading gives a value of its type in any case, and tells a fault where there was none of
    it; a file with a fault is not used.
    """

    value: Any
    line: int
    name: str = ""
    told: list[Fault] = field(default_factory=list, repr=False)

    def wrong(self, what: str, remedy: str) -> None:
        """Tell a fault."""
        self.told.append(Fault(self.line, plain_line(what, 200), plain_line(remedy, 300)))

    def table(self, known: Sequence[str], needs: str = "") -> dict[str, Given]:
        """A mapping of some of the `known` names; it must have the name `needs`."""
        if not isinstance(self.value, dict):
            self._not("a mapping", f"for example {{{known[0]}: …}}")
            return {}
        listed = ", ".join(known)
        for name, value in self.value.items():
            if name not in known:
                value.wrong(f"{self._called} has no '{name[:60]}'", f"it takes: {listed}")
        if needs and needs not in self.value:
            self.wrong(f"{self._called} has no '{needs}'", f"add {needs}: …")
        return {name: value for name, value in self.value.items() if name in known}

    def entries(self) -> list[Given]:
        """A list; one value stands for a list of it."""
        items = self.value if isinstance(self.value, list) else [self]
        if not items:
            self.wrong(f"{self._called} is empty", "name something, or leave it out")
        if len(items) > MOST_ITEMS:
            self.wrong(
                f"{self._called} has {len(items)} entries", f"at most {MOST_ITEMS} are taken"
            )
        return items[:MOST_ITEMS]

    def texts(self) -> tuple[str, ...]:
        """One or several texts."""
        return tuple(item.text() for item in self.entries())

    def text(self, most: int = LONGEST_TEXT) -> str:
        """A text that is not empty."""
        if not isinstance(self.value, str) or not self.value.strip():
            self._not("a text that is not empty", "write it in quotes")
            return ""
        if len(self.value) > most:
            self.wrong(
                f"{self._called} has {len(self.value)} characters", f"at most {most} are taken"
            )
        return self.value

    def choice(self, names: Sequence[str]) -> str:
        """One of the names."""
        if not isinstance(self.value, str) or self.value not in names:
            self._not("known", f"one of {', '.join(names)}")
            return names[0]
        return self.value

    def choices(self, names: Sequence[str]) -> tuple[str, ...]:
        """One or several of the names."""
        return tuple(item.choice(names) for item in self.entries())

    def number(self, low: float, high: float) -> float:
        """A number within bounds."""
        value = self.value
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or not low <= value <= high:
            self._not(f"a number from {low:.10g} to {high:.10g}", "write it without a unit")
            return low
        return float(value)

    def count(self, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self.value
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self._not(f"a whole number from {low} to {high}", "write it in digits")
            return low
        return value

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            self._not("true or false", "write true or false")
        return self.value is True

    @property
    def _called(self) -> str:
        return f"'{self.name}'" if self.name else "the file"

    def _not(self, what: str, remedy: str) -> None:
        self.wrong(f"{self._called} is not {what}: {_shown(self.value)}", remedy)


def _shown(value: Any) -> str:
    """A wrong value in a few words."""
    if isinstance(value, dict):
        return "it is a mapping"
    if isinstance(value, list):
        return "it is a list"
    return "it is empty" if value is None else f"it is {plain_line(repr(value), 80)}"


@runtime_checkable
class Condition(Protocol):
    """One kind of condition; `example` is how a rules file may word it."""

    example: str

    def read(self, given: Given) -> Any:
        """What a rule asks, from how it is worded; faults are told to `given`."""
        ...

    def look(self, asked: Any, facts: Facts) -> Held | bool | None:
        """Whether it holds, with what it saw; None when the facts do not tell."""
        ...
