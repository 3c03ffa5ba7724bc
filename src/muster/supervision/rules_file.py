"""A rules file: from a person's or a stranger's text to rules, or every fault with its remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from muster.domain.person import ROLE
from muster.domain.plain import plain_line
from muster.supervision.condition import Condition, Fault, Given
from muster.supervision.rules import (
    ANY,
    NOT,
    Action,
    All,
    AnyOf,
    Ask,
    Change,
    Not,
    Rule,
    Ruleset,
    Source,
)
from muster.supervision.rules_yaml import values_of

MOST_RULES = 100
_MOST_FAULTS = 200
_DEEPEST_WHEN = 4
_NAME = re.compile(r"[a-z][a-z0-9-]{0,59}")
_BUILT_IN = Path(__file__).with_name("rules.yaml")
_KEYS = ("name", "when", "do", "ask", "active")


@dataclass(frozen=True, slots=True)
class RulesFile:
    """What a file says: its rules and changes, or the faults because of which it says nothing."""

    rules: tuple[Rule, ...] = ()
    changes: tuple[Change, ...] = ()
    faults: tuple[Fault, ...] = ()


def read_rules(
    data: bytes,
    conditions: Mapping[str, Condition],
    *,
    source: Source,
    below: Ruleset | None = None,
) -> RulesFile:
    """What a rules file says, above the rules that are there already (`below`).

    A rule of a name that is taken below is a change of that rule; another is new.
    """
    faults: list[Fault] = []
    tree = values_of(data, faults)
    if tree is None:
        return RulesFile(faults=_sorted(faults))
    reader = _Reader(conditions, source, below.names() if below else frozenset(), faults)
    rules, changes = reader.document(tree)
    if faults:
        return RulesFile(faults=_sorted(faults))
    return RulesFile(tuple(rules), tuple(changes))


def built_in(conditions: Mapping[str, Condition]) -> Ruleset:
    """The rules that muster brings along.

    Raises:
        RuntimeError: a fault in them, which is muster's own.
    """
    read = read_rules(_built_in_text(), conditions, source=Source.BUILT_IN)
    if read.faults:
        raise RuntimeError(f"rules.yaml: {read.faults[0]}")
    return Ruleset(read.rules)


@cache
def _built_in_text() -> bytes:
    return _BUILT_IN.read_bytes()


class _Reader:
    """Reads the parts of one file; goes on after a fault to find the others."""

    def __init__(
        self,
        conditions: Mapping[str, Condition],
        source: Source,
        taken: frozenset[str],
        faults: list[Fault],
    ) -> None:
        self._conditions = conditions
        self._source = source
        self._taken = taken
        self._faults = faults

    def document(self, tree: Given) -> tuple[list[Rule], list[Change]]:
        rules: list[Rule] = []
        changes: list[Change] = []
        if tree.value is None:
            return rules, changes
        top = tree.table(("rules", "version"))
        if "version" in top and top["version"].value != 1:
            top["version"].wrong(
                f"there is no version {plain_line(str(top['version'].value), 20)} of rules",
                "write version: 1, or leave it out",
            )
        if "rules" not in top:
            if not tree.told:
                tree.wrong("the file has no 'rules'", "begin with rules: and a list below it")
            return rules, changes
        entries = top["rules"]
        if not isinstance(entries.value, list):
            entries.wrong("'rules' is not a list", "begin each rule with - name: …")
            return rules, changes
        if len(entries.value) > MOST_RULES:
            entries.wrong(
                f"there are {len(entries.value)} rules",
                f"at most {MOST_RULES} are taken; join some with any:",
            )
        seen: dict[str, int] = {}
        for entry in entries.value[:MOST_RULES]:
            made = self._entry(entry, seen)
            if isinstance(made, Rule):
                rules.append(made)
            elif made is not None:
                changes.append(made)
        return rules, changes

    def _entry(self, entry: Given, seen: dict[str, int]) -> Rule | Change | None:
        entry.name = "the rule"
        if not isinstance(entry.value, dict):
            entry.wrong("a rule is not a mapping", "write - name: …, with when: and do: below it")
            return None
        parts = entry.table(_KEYS, needs="name")
        name = self._name(parts["name"], seen) if "name" in parts else ""
        entry.name = name or "the rule"
        when = self._all(parts["when"], 1) if "when" in parts else None
        action, role = self._action(parts["do"]) if "do" in parts else (None, "")
        words = parts["ask"].text() if "ask" in parts else None
        active = parts["active"].flag() if "active" in parts else True
        if name in self._taken:
            asked = _plain(parts["when"]) if "when" in parts else None
            return Change(name, entry.line, self._source, active, when, asked, action, role, words)
        return self._new(entry, parts, name, when, action, role, words or "", active)

    def _new(
        self,
        entry: Given,
        parts: Mapping[str, Given],
        name: str,
        when: All | None,
        action: Action | None,
        role: str,
        words: str,
        active: bool,
    ) -> Rule | None:
        for part, remedy in (
            ("when", "add when: with at least one condition"),
            ("do", f"add do: {', '.join(Action)} of a role"),
        ):
            if part not in parts:
                entry.wrong(f"the rule '{name}' has no '{part}'", remedy)
        if not active:
            entry.wrong(
                f"there is no rule '{name}' to be switched off",
                f"name one of: {', '.join(sorted(self._taken)) or 'none'}",
            )
        if when is None or action is None:
            return None
        return Rule(
            name, when, _plain(parts["when"]), action, role, words, self._source, entry.line
        )

    def _name(self, given: Given, seen: dict[str, int]) -> str:
        name = given.text(200)
        if name and not _NAME.fullmatch(name):
            given.wrong(
                f"'{plain_line(name, 60)}' cannot be a name",
                "use small letters, digits and hyphens, at most 60",
            )
        elif name in seen:
            given.wrong(
                f"the name '{name}' is taken by the rule in line {seen[name]}", "take another name"
            )
        seen.setdefault(name, given.line)
        return name

    def _action(self, given: Given) -> tuple[Action, str]:
        if isinstance(given.value, dict):
            role = given.table(("approve",), needs="approve").get("approve")
            if role is None:
                return Action.APPROVE, ""
            named = role.text(200)
            if named and not ROLE.fullmatch(named):
                role.wrong(
                    f"'{plain_line(named, 60)}' cannot be a role",
                    "use small letters, digits, _ and hyphens, for example {approve: lead}",
                )
            return Action.APPROVE, named
        if given.value == Action.APPROVE:
            given.wrong("'approve' names no role", "write do: {approve: ROLE}")
            return Action.APPROVE, ""
        if not isinstance(given.value, str) or given.value not in {Action.PAUSE, Action.NOTIFY}:
            said = f"'{plain_line(given.value, 60)}'" if isinstance(given.value, str) else "that"
            given.wrong(f"'do' cannot be {said}", "write pause, notify or {approve: ROLE}")
            return Action.PAUSE, ""
        return Action(given.value), ""

    def _all(self, given: Given, depth: int) -> All:
        if not isinstance(given.value, dict) or not given.value:
            given.wrong(
                f"'{given.name}' has no conditions",
                f"write a mapping of conditions: {', '.join(sorted(self._conditions))}",
            )
            return All(())
        if depth > _DEEPEST_WHEN:
            given.wrong(
                f"conditions are nested deeper than {_DEEPEST_WHEN} times", "use two rules instead"
            )
            return All(())
        return All(tuple(self._part(kind, part, depth) for kind, part in given.value.items()))

    def _part(self, kind: str, given: Given, depth: int) -> Ask | AnyOf | Not:
        if kind == ANY:
            return AnyOf(tuple(self._all(part, depth + 1) for part in given.entries()))
        if kind == NOT:
            return Not(self._all(given, depth + 1))
        condition = self._conditions.get(kind)
        if condition is None:
            known = ", ".join((*sorted(self._conditions), ANY, NOT))
            given.wrong(f"there is no condition '{plain_line(kind, 60)}'", f"conditions: {known}")
            return AnyOf(())
        words = _plain(given)
        try:
            return Ask(kind, condition, condition.read(given), words)
        except Exception as error:  # noqa: BLE001 - a stranger's code; it is told
            given.wrong(
                f"the condition '{kind}' failed to read this: {type(error).__name__}: {error}",
                "word it as its documentation does, or mend the plugin",
            )
            return AnyOf(())


def _plain(given: Given) -> Any:
    """The value without its lines."""
    match given.value:
        case dict() as table:
            return {name: _plain(value) for name, value in table.items()}
        case list() as items:
            return [_plain(item) for item in items]
        case other:
            return other


def _sorted(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.line))[:_MOST_FAULTS]
