"""Other rules of breakpoints tried on a decision of the past: which hold, what it would be. Pure.

Only what a decision asks can be tried. What rules ask while an agent works (its commands, its
calls, silence, cost without a change) was there for a moment and is kept nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from typing_extensions import override

from muster.domain.verdict import Decision, Step
from muster.supervision.asked import Asked
from muster.supervision.case import LONGEST_REFUSAL, Case, Hold, refusal_kept
from muster.supervision.condition import Facts, NotKept
from muster.supervision.decision import decide
from muster.supervision.rules import (
    Action,
    All,
    AnyOf,
    Ask,
    Match,
    Not,
    Rule,
    Ruleset,
    asks,
    holding,
    holds,
)

_AT_WORK = frozenset({"call", "calls", "idle_cost", "quiet_seconds"})
"""The facts that there are only while an agent works."""


class Tried(StrEnum):
    """How far a rule can be tried on decisions."""

    WHOLE = "decisions"
    PART = "in part"
    NOT = "at work only"


@dataclass(frozen=True, slots=True)
class KeptFacts(Facts):
    """The facts of a decision as they were kept; one of `cut` was known then and is not now.

    `missed` are those of them that somebody wanted.
    """

    cut: frozenset[str] = frozenset()
    missed: set[str] = field(default_factory=set)

    @override
    def __getattribute__(self, name: str) -> object:
        if name in object.__getattribute__(self, "cut"):
            object.__getattribute__(self, "missed").add(name)
            raise NotKept(name)
        return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True)
class Again:
    """A decision under other rules: those that hold, and those of which that cannot be told.

    `decision` is None where a rule that cannot be told could change it. `asked` says whether rules
    are asked at such a decision at all.
    """

    decision: Decision | None
    matches: tuple[Match, ...]
    untold: tuple[str, ...]
    asked: bool = True


def tried_as(rule: Rule) -> Tried:
    """How far a rule can be tried: whether decisions can tell that it holds."""
    live = {id(ask) for ask in asks(rule.when) if _is_of_work(ask)}
    if not _can_hold(rule.when, live):
        return Tried.NOT
    return Tried.PART if live else Tried.WHOLE


def _is_of_work(ask: Ask) -> bool:
    probe = KeptFacts(cut=_AT_WORK)
    ask.look(probe)
    return bool(probe.missed)


def _can_hold(when: All | AnyOf | Not | Ask, live: Collection[int]) -> bool:
    match when:
        case Ask():
            return id(when) not in live
        case Not():
            return _can_hold(when.part, live)
        case All():
            return all(_can_hold(part, live) for part in when.parts)
        case AnyOf():
            return any(_can_hold(part, live) for part in when.parts)


def try_rules(
    case: Case, rules: Ruleset, events: Mapping[str, int] | None, told: Collection[str]
) -> Again:
    """Ask other rules about a case, and decide it with those that hold.

    `events` counts what had happened to the task, where a rule asks; `told` are the causes that
    were told before, since a rule is told once for each.
    """
    unheld = replace(case, holds=())
    decision = decide(unheld)
    if case.asked is None or decision.step is Step.PARK:
        return Again(decide(case), (), (), asked=False)
    facts = _facts(case, case.asked, decision.step, events)
    matches = tuple(match for match in rules.matching(facts) if match.cause not in told)
    untold = tuple(rule for rule in rules.rules if _is_untold(rule, facts))
    names = tuple(rule.name for rule in untold)
    if _may_hold(untold):
        return Again(None, matches, names)
    held = tuple(Hold(m.sentence(), m.rule.ask, m.rule.role) for m in holding(matches))
    return Again(decide(replace(case, holds=held)), matches, names)


def _may_hold(rules: Collection[Rule]) -> bool:
    """Whether any of them would put a person before the move."""
    return any(rule.action is not Action.NOTIFY for rule in rules)


def _is_untold(rule: Rule, facts: KeptFacts) -> bool:
    facts.missed.clear()
    return holds(rule, facts) is None and bool(facts.missed)


def _facts(case: Case, asked: Asked, step: Step, events: Mapping[str, int] | None) -> KeptFacts:
    refusals = (*(tried.refusal for tried in case.past), refusal_kept(case.findings))
    cut = set(asked.cut)
    if any(len(refusal) >= LONGEST_REFUSAL for refusal in refusals):
        cut.add("refusals")
    return KeptFacts(
        type=asked.type,
        agent=case.agent,
        attempt=asked.attempt,
        events=events,
        cost_usd=asked.cost_usd,
        budget_usd=asked.budget_usd,
        seconds=asked.seconds,
        findings=case.findings,
        step=str(step),
        outcome=str(case.outcome),
        claims=asked.claims,
        files=asked.files,
        lines=asked.lines,
        confidence=case.sure.value if case.sure else None,
        refusals=refusals,
        trees=asked.trees,
        cut=frozenset(cut),
    )
