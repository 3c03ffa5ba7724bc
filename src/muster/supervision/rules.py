"""Breakpoints as rules: which hold for the facts, and what becomes of a decision then. Pure."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from muster.supervision.condition import Condition, Facts, Held, NotKept

log = logging.getLogger("muster.supervision")

ANY, NOT = "any", "not"


class Action(StrEnum):
    """What a rule does when it holds."""

    NOTIFY = "notify"
    PAUSE = "pause"
    APPROVE = "approve"


class Source(StrEnum):
    """Who wrote a rule."""

    BUILT_IN = "built in"
    HOME = "home"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Ask:
    """One condition of a rule: its kind, what it asks, and how it was worded."""

    kind: str
    condition: Condition
    asked: Any
    words: Any

    def look(self, facts: Facts) -> Held | bool | None:
        """Whether it holds; a condition that fails does not tell."""
        try:
            return self.condition.look(self.asked, facts)
        except NotKept:
            return None
        except Exception:  # a stranger's code; no rule of it may stop the walk
            log.exception("the condition '%s' failed, so that it holds nothing", self.kind)
            return None


@dataclass(frozen=True, slots=True)
class All:
    """Conditions that have to hold together."""

    parts: tuple[Ask | AnyOf | Not, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Sets of conditions of which one has to hold."""

    parts: tuple[All, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Conditions that must not hold together."""

    part: All


@dataclass(frozen=True, slots=True)
class Rule:
    """A breakpoint to be: when it holds, and what it does then.

    `role` is whose approval is needed; `ask` are words for the person. `words` is `when` as the
    file has it.
    """

    name: str
    when: All
    words: Mapping[str, Any]
    action: Action
    role: str = ""
    ask: str = ""
    source: Source = Source.BUILT_IN
    line: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What a file says about a rule that is there already; None leaves a part as it is."""

    name: str
    line: int
    source: Source
    active: bool = True
    when: All | None = None
    words: Mapping[str, Any] | None = None
    action: Action | None = None
    role: str = ""
    ask: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that holds: each condition that did, with what it saw, and the cause of it all."""

    rule: Rule
    held: tuple[Mapping[str, Any], ...]
    cause: str

    def as_json(self) -> dict[str, Any]:
        """The match as breakpoints and events carry it."""
        told: dict[str, Any] = {
            "rule": self.rule.name,
            "source": str(self.rule.source),
            "action": str(self.rule.action),
            "conditions": [dict(item) for item in self.held],
            "cause": self.cause,
        }
        more = {"role": self.rule.role, "ask": self.rule.ask}
        return told | {name: value for name, value in more.items() if value}

    def sentence(self) -> str:
        """Which rule holds, and why, for people."""
        return f"The rule '{self.rule.name}' holds: {_told(self.held)}."


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The rules that are in force.

    `switched_off` are the names of those that a person did not want, `ignored` what a file that
    is not trusted said about rules of others, as sentences with their lines.
    """

    rules: tuple[Rule, ...] = ()
    switched_off: Mapping[str, Source] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def with_file(
        self, new: Iterable[Rule], changes: Iterable[Change], *, trusted: bool
    ) -> Ruleset:
        """These rules with those of another file, which may change them only when it is trusted."""
        rules = {rule.name: rule for rule in self.rules}
        off, ignored = dict(self.switched_off), list(self.ignored)
        for change in changes:
            if not trusted:
                ignored.append(
                    f"line {change.line}: the repository is not trusted, so that the rule"
                    f" '{change.name}' stays as it is; trust it with muster init, or take"
                    " another name"
                )
            elif not change.active:
                rules.pop(change.name, None)
                off[change.name] = change.source
            elif change.name in rules:
                rules[change.name] = _changed(rules[change.name], change)
        for rule in new:
            rules.setdefault(rule.name, rule)
        return Ruleset(tuple(rules.values()), off, tuple(ignored))

    def names(self) -> frozenset[str]:
        """Every name that is taken, also by rules that are switched off."""
        return frozenset({rule.name for rule in self.rules} | set(self.switched_off))

    def kinds(self) -> frozenset[str]:
        """The kinds of condition that any rule asks."""
        return frozenset(ask.kind for rule in self.rules for ask in asks(rule.when))

    def asked(self, kind: str) -> list[Any]:
        """What the rules ask of one kind of condition."""
        return [ask.asked for rule in self.rules for ask in asks(rule.when) if ask.kind == kind]

    def matching(self, facts: Facts) -> tuple[Match, ...]:
        """The rules that hold, the strictest first."""
        found = [match for rule in self.rules if (match := _match(rule, facts)) is not None]
        order = (Action.APPROVE, Action.PAUSE, Action.NOTIFY)
        return tuple(sorted(found, key=lambda match: order.index(match.rule.action)))


def asks(when: All | AnyOf | Not | Ask) -> Iterator[Ask]:
    """Every single condition in it."""
    match when:
        case Ask():
            yield when
        case Not():
            yield from asks(when.part)
        case All() | AnyOf():
            for part in when.parts:
                yield from asks(part)


def holds(rule: Rule, facts: Facts) -> bool | None:
    """Whether a rule holds; None when that is not known."""
    return _holds(rule.when, facts, [])


def holding(matches: Iterable[Match]) -> tuple[Match, ...]:
    """Those that hold the task until a person has decided."""
    return tuple(match for match in matches if match.rule.action is not Action.NOTIFY)


def _changed(rule: Rule, change: Change) -> Rule:
    changed = replace(rule, source=change.source, line=change.line)
    if change.when is not None:
        changed = replace(changed, when=change.when, words=change.words or {})
    if change.action is not None:
        changed = replace(changed, action=change.action, role=change.role)
    return changed if change.ask is None else replace(changed, ask=change.ask)


def _match(rule: Rule, facts: Facts) -> Match | None:
    seen: list[tuple[Ask, Held]] = []
    if not _holds(rule.when, facts, seen):
        return None
    told = tuple(
        {"kind": ask.kind, "asked": ask.words, "saw": dict(held.values)} for ask, held in seen
    )
    key = "\0".join([rule.name, *(f"{ask.kind}\0{held.cause}" for ask, held in seen)])
    return Match(rule, told, hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:16])


def _holds(
    when: All | AnyOf | Not | Ask, facts: Facts, seen: list[tuple[Ask, Held]]
) -> bool | None:
    """Whether it holds; None when that is not known. What held is added to `seen`."""
    match when:
        case Ask():
            found = when.look(facts)
            if isinstance(found, Held):
                seen.append((when, found))
                return True
            return found
        case Not():
            inner = _holds(when.part, facts, [])
            return None if inner is None else not inner
        case All():
            return _every(when, facts, seen)
        case AnyOf():
            answers = []
            for part in when.parts:
                own: list[tuple[Ask, Held]] = []
                answer = _holds(part, facts, own)
                if answer:
                    seen += own
                    return True
                answers.append(answer)
            return None if None in answers else False


def _every(when: All, facts: Facts, seen: list[tuple[Ask, Held]]) -> bool | None:
    own: list[tuple[Ask, Held]] = []
    known: bool | None = True
    for part in when.parts:
        answer = _holds(part, facts, own)
        if answer is False:
            return False
        known = known if answer else None
    if known:
        seen += own
    return known


def _told(held: Iterable[Mapping[str, Any]]) -> str:
    parts = [f"{item['kind']} ({_values(item['saw'])})" for item in held]
    return "; ".join(parts) or "what it asks"


def _values(saw: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in saw.items())


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        more = f" and {len(value) - 3} more" if len(value) > 3 else ""
        return ", ".join(map(str, value[:3])) + more
    return f"{value:g}" if isinstance(value, float) else str(value)
