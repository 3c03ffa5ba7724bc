"""Conditions about the task: its type, its agent, its attempts, and what happened to it."""

from __future__ import annotations

from fnmatch import fnmatchcase

from muster.domain.task import TaskType
from muster.supervision.condition import Facts, Given, Held


class Type:
    """The task is of one of these types."""

    example = "type: [feature, bug]"

    def read(self, given: Given) -> tuple[str, ...]:
        """The types."""
        return given.choices(tuple(map(str, TaskType)))

    def look(self, asked: tuple[str, ...], facts: Facts) -> Held | bool:
        """Whether it is one of them."""
        return Held({"type": facts.type}) if facts.type in asked else False


class AgentName:
    """The agent is one of these; `*` stands for anything."""

    example = "agent: [claude, gemini*]"

    def read(self, given: Given) -> tuple[str, ...]:
        """The names."""
        return given.texts()

    def look(self, asked: tuple[str, ...], facts: Facts) -> Held | bool:
        """Whether it is one of them."""
        found = any(fnmatchcase(facts.agent, name) for name in asked)
        return Held({"agent": facts.agent}) if found else False


class Attempts:
    """The task has had more than so many attempts, the present one included."""

    example = "attempts: {above: 2}"

    def read(self, given: Given) -> int:
        """How many are still fine."""
        parts = given.table(("above",), needs="above")
        return parts["above"].count(0, 1000) if parts else 0

    def look(self, asked: int, facts: Facts) -> Held | bool:
        """Whether there were more."""
        return (
            Held({"attempts": facts.attempt}, str(facts.attempt))
            if facts.attempt > asked
            else False
        )


class Event:
    """Something happened to the task, at least so many times."""

    example = "event: {kind: network.refused, times: 3}"

    def read(self, given: Given) -> tuple[str, int]:
        """The kind and how often."""
        if isinstance(given.value, str):
            return given.text(100), 1
        parts = given.table(("kind", "times"), needs="kind")
        kind = parts["kind"].text(100) if "kind" in parts else ""
        return kind, parts["times"].count(1, 100_000) if "times" in parts else 1

    def look(self, asked: tuple[str, int], facts: Facts) -> Held | bool | None:
        """Whether it did."""
        if facts.events is None:
            return None
        kind, times = asked
        count = facts.events.get(kind, 0)
        return Held({"event": kind, "times": count}, kind) if count >= times else False
