"""Other rules of breakpoints asked about decisions of the past, and what that comes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from muster.domain.errors import Invalid
from muster.store import breakpoint_rules as rule_verbs
from muster.store.base import Tx
from muster.store.breakpoint_rules import Holding
from muster.store.judgements import Judged
from muster.supervision.case import Case
from muster.supervision.condition import Fault
from muster.supervision.rulebook import RuleBook
from muster.supervision.rules import Ruleset
from muster.supervision.trial import Again, Tried, tried_as, try_rules

_CHECK = "muster breakpoint rules --check FILE{} tells every fault with its remedy"


def rules_to_try(
    book: RuleBook, rules: str | None, home: str | None, own: tuple[bytes, bool]
) -> Ruleset:
    """Those that would be in force with other files, as if they were trusted.

    `rules` stands for the project's own file, `home` for the home's; None is what is there. `own`
    is the project's file as it is now, and whether it is trusted.

    Raises:
        Invalid: a file has a fault; the message names the first with its line, `faults` all.
    """
    below = None
    if home is not None:
        below, faults = book.tried_home(_bytes(home))
        _refuse("the home's rules have", faults, _CHECK.format(" --as-home"))
    text, trusted = own if rules is None else (_bytes(rules), True)
    found, faults = book.tried(text, below, trusted=trusted)
    if rules is None:
        _refuse("above these rules the project's own have", faults, "try them with --rules FILE")
    else:
        _refuse("the rules have", faults, _CHECK.format(""))
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _refuse(whose: str, faults: Sequence[Fault], hint: str) -> None:
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise Invalid(
            f"{whose} a fault in {faults[0]}{more}",
            hint=hint,
            faults=[{"line": f.line, "what": f.what, "remedy": f.remedy} for f in faults],
        )


class RuleTrial:
    """Rules in the place of those that were in force."""

    def __init__(self, rules: Ruleset) -> None:
        """Ask nothing yet."""
        self.rules = rules
        self._counts: Counter[str] = Counter()
        self._by_rule: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._told: defaultdict[str, set[str]] = defaultdict(set)
        self._held: dict[str, list[Holding]] = {}
        self._events: dict[str, dict[str, int]] = {}

    def look_up(self, tx: Tx, page: Sequence[Judged]) -> None:
        """Read what the store knows beside these decisions: what held, and what had happened."""
        self._held = rule_verbs.held_of_tasks(tx, {each.verdict.task_id for each in page})
        kinds = {kind for kind, _ in self.rules.asked("event")}
        self._events = {
            each.verdict.id: rule_verbs.count_events(
                tx, each.verdict.task_id, kinds, each.verdict.case["asked"]["rev"]
            )
            for each in page
            if kinds and each.verdict.case and each.verdict.case.get("asked")
        }

    def again(self, judged: Judged, case: Case | None) -> tuple[Again, dict[str, list[str]]] | None:
        """The decision under these rules, and which of them hold otherwise than then.

        None where it was made before facts were kept.
        """
        verdict = judged.verdict
        if case is None or "asked" not in (verdict.case or {}):
            self._counts["unknown"] += 1
            return None
        held = self._held.get(verdict.task_id, [])
        own = [h for h in held if h.at_verdict and h.agent_id == verdict.agent_id]
        before = {h.cause for h in held if h.rev < verdict.rev and h not in own}
        told = self._told[verdict.task_id]
        again = try_rules(case, self.rules, self._events.get(verdict.id), before | told)
        told |= {match.cause for match in again.matches}
        self._counts["asked" if again.asked else "not_asked"] += 1
        self._counts["untold"] += again.decision is None
        then, now = {h.rule for h in own}, {match.rule.name for match in again.matches}
        for what, names in (("held", then), ("would_hold", now), ("untold", again.untold)):
            for name in names:
                self._by_rule[name][what] += 1
        return again, {
            "would_hold": sorted(now - then),
            "no_longer": sorted(then - now - set(again.untold)),
            "untold": sorted(again.untold),
        }

    def told(self, at_work: dict[str, int]) -> dict[str, Any]:
        """What it came to; `at_work` is how often each rule held while an agent worked."""
        known = {rule.name: rule for rule in self.rules.rules}
        gone = sorted((set(self._by_rule) | set(at_work)) - set(known))
        return {
            **{name: self._counts[name] for name in ("asked", "not_asked", "unknown", "untold")},
            "items": [
                *(
                    self._of_rule(name, str(rule.source), tried_as(rule), at_work)
                    for name, rule in known.items()
                ),
                *(self._of_rule(name, None, None, at_work) for name in gone),
            ],
        }

    def _of_rule(
        self, name: str, source: str | None, tried: Tried | None, at_work: dict[str, int]
    ) -> dict[str, Any]:
        counts = self._by_rule[name]
        return {
            "name": name,
            "source": source,
            "tried": str(tried) if tried else None,
            **{what: counts[what] for what in ("held", "would_hold", "untold")},
            "at_work": at_work.get(name, 0),
        }


def differs(rules: dict[str, list[str]]) -> bool:
    """Whether other rules hold than then, as far as that can be told."""
    return bool(rules["would_hold"] or rules["no_longer"])
