"""Conditions about an agent at work: what it runs, what it costs, how long, and to what end.

That it is stuck is told from facts: calls that repeat, money without a change, silence of program
and processes together. Silence of the program alone says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from muster.supervision.command_line import Words, matching, pattern_of
from muster.supervision.condition import Facts, Given, Held

_RUNS = frozenset(
    {"bash", "shell", "execute", "exec", "terminal", "command", "run_shell_command", "powershell"}
)
"""The tools, in small letters, whose words are a command; of others they are a path or a query."""


class Cost:
    """The attempt has cost more than a sum, or than a part of its budget."""

    example = "cost: {above: 5}"

    def read(self, given: Given) -> tuple[float | None, float | None]:
        """US dollars, and the part of the budget."""
        parts = given.table(("above", "of_budget"))
        if isinstance(given.value, dict) and not parts:
            given.wrong("'cost' asks nothing", "write {above: DOLLARS} or {of_budget: 0.8}")
        above = parts["above"].number(0, 1_000_000) if "above" in parts else None
        part = parts["of_budget"].number(0.01, 1) if "of_budget" in parts else None
        return above, part

    def look(self, asked: tuple[float | None, float | None], facts: Facts) -> Held | bool | None:
        """Whether it has."""
        above, part = asked
        cost, budget = facts.cost_usd, facts.budget_usd
        if cost is None or (above is None and budget is None):
            return None
        limit = above if above is not None else float("inf")
        if part is not None and budget is not None:
            limit = min(limit, part * budget)
        if cost <= limit:
            return False
        saw = {"cost_usd": round(cost, 4)} | ({} if budget is None else {"budget_usd": budget})
        return Held(saw, f"{limit:g}")


class Minutes:
    """The attempt has worked longer than so many minutes."""

    example = "minutes: {above: 30}"

    def read(self, given: Given) -> float:
        """The minutes that are fine."""
        parts = given.table(("above",), needs="above")
        return parts["above"].number(0, 100_000) if parts else 0.0

    def look(self, asked: float, facts: Facts) -> Held | bool | None:
        """Whether it has."""
        if facts.seconds is None:
            return None
        found = facts.seconds > asked * 60
        return Held({"minutes": round(facts.seconds / 60, 2)}, f"{asked:g}") if found else False


class Command:
    """The agent runs, or asks to run, a command that one of the patterns means."""

    example = 'command: ["git push --force*", "rm -r /"]'

    def read(self, given: Given) -> list[tuple[str, Words]]:
        """The patterns."""
        found = []
        for item in given.entries():
            text = item.text()
            words = pattern_of(text)
            if words is not None:
                found.append((text, words))
            elif text:
                item.wrong(f"'{text[:60]}' names no program", "begin with it: git push --force*")
        return found

    def look(self, asked: list[tuple[str, Words]], facts: Facts) -> Held | bool | None:
        """Whether it does."""
        if facts.call is None:
            return None
        tool, text = facts.call
        if tool.lower() not in _RUNS:
            return False
        found = matching(asked, text)
        if found is None:
            return False
        pattern, command = found
        return Held({"command": command[:300], "pattern": pattern, "tool": tool}, command)


@dataclass(frozen=True, slots=True)
class _Times:
    """How often something may come before it counts."""

    times: int


def _times(given: Given, low: int, high: int) -> _Times:
    parts = given.table(("times",), needs="times")
    return _Times(parts["times"].count(low, high) if parts else low)


class RepeatedCalls:
    """The last calls of tools were all the same one."""

    example = "repeated_calls: {times: 20}"

    def read(self, given: Given) -> _Times:
        """How many in a row."""
        return _times(given, 2, 100)

    def look(self, asked: _Times, facts: Facts) -> Held | bool | None:
        """Whether they were."""
        if facts.calls is None:
            return None
        last = facts.calls[-asked.times :]
        if len(last) < asked.times or len(set(last)) != 1:
            return False
        tool, text = last[0]
        return Held({"tool": tool, "call": text[:300], "times": asked.times}, f"{tool} {text}")


class AlternatingCalls:
    """The last calls of tools went to and fro between the same two."""

    example = "alternating_calls: {times: 12}"

    def read(self, given: Given) -> _Times:
        """How often each."""
        return _times(given, 2, 50)

    def look(self, asked: _Times, facts: Facts) -> Held | bool | None:
        """Whether they did."""
        if facts.calls is None:
            return None
        last = facts.calls[-2 * asked.times :]
        ones, others = set(last[::2]), set(last[1::2])
        if len(last) < 2 * asked.times or len(ones) != 1 or len(others) != 1 or ones == others:
            return False
        both = sorted(f"{tool} {text}" for tool, text in ones | others)
        return Held({"calls": [call[:300] for call in both], "times": asked.times}, "\n".join(both))


class CostWithoutChange:
    """The agent has spent more than a sum since the files of its workspace last changed."""

    example = "cost_without_change: {above: 3}"

    def read(self, given: Given) -> float:
        """US dollars."""
        parts = given.table(("above",), needs="above")
        return parts["above"].number(0.01, 100_000) if parts else 0.01

    def look(self, asked: float, facts: Facts) -> Held | bool | None:
        """Whether it has."""
        if facts.idle_cost is None:
            return None
        found = facts.idle_cost > asked
        return Held({"cost_usd": round(facts.idle_cost, 4)}, f"{asked:g}") if found else False


class Silence:
    """The agent has told no fact, and its processes have done nothing, for so many minutes."""

    example = "silence: {minutes: 30}"

    def read(self, given: Given) -> float:
        """The minutes that are fine."""
        parts = given.table(("minutes",), needs="minutes")
        return parts["minutes"].number(1, 100_000) if parts else 1.0

    def look(self, asked: float, facts: Facts) -> Held | bool | None:
        """Whether it was."""
        if facts.quiet_seconds is None:
            return None
        found = facts.quiet_seconds > asked * 60
        return (
            Held({"minutes": round(facts.quiet_seconds / 60, 1)}, f"{asked:g}") if found else False
        )
