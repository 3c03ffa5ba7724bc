"""Other rules asked about what was kept of a decision; what was not is never taken for false."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.condition import FULL
from muster.domain.agent import Outcome
from muster.domain.verdict import Finding, Severity, Step
from muster.supervision.asked import MOST_CLAIMS, asked_again, asked_json, asked_of
from muster.supervision.case import Case, Policy, case_json, case_of
from muster.supervision.case import Tried as Before
from muster.supervision.condition import Facts, Given, Held
from muster.supervision.rules import Ruleset, Source
from muster.supervision.rules_file import read_rules
from muster.supervision.trial import Tried, tried_as, try_rules
from supervision.conditions import registered


class Folders:
    """A stranger's condition: a pure function of the facts."""

    example = "folders: 1"

    def read(self, given: Given) -> int:
        return given.count(1, 9)

    def look(self, asked: int, facts: Facts) -> Held | bool:
        found = {path.rpartition("/")[0] for path in facts.files or ()}
        return Held({"folders": len(found)}) if len(found) > asked else False


CONDITIONS = {**registered(), "folders": Folders()}
GREEN = (Finding("tests.green", Severity.OK, "The tests pass."),)


def rules(*whens: str, do: str = "pause") -> Ruleset:
    """A rule for each `when`, by letters."""
    lines = [f"  - {{name: {chr(97 + n)}, when: {w}, do: {do}}}" for n, w in enumerate(whens)]
    read = read_rules("\n".join(["rules:", *lines]).encode(), CONDITIONS, source=Source.PROJECT)
    assert not read.faults, read.faults
    return Ruleset(read.rules)


def case(facts: Facts = FULL, **more) -> Case:
    """A case as it was kept, read again."""
    asked = asked_of(facts, 7, lambda _words: False)
    made = Case(
        findings=GREEN, policy=Policy(autonomy="full"), outcome=Outcome.COMPLETED, tries=1,
        agent="claude", asked=replace(asked, **more),
    )  # fmt: skip
    return case_of(case_json(made), GREEN)


def names(again) -> list[str]:
    return [match.rule.name for match in again.matches]


def test_every_fact_that_decisions_are_asked_is_there_again():
    asked = rules(
        "{type: feature}", "{agent: cl*}", "{attempts: {above: 1}}", "{cost: {above: 0.4}}",
        "{cost: {of_budget: 0.4}}", "{minutes: {above: 0.1}}", "{files: [src/]}",
        "{lines: {above: 11}}", "{finding: tests.green}", "{outcome: completed}",
        "{decision: accept}", "{event: ci.red}", "{folders: 1}",
    )  # fmt: skip
    facts = replace(FULL, files=("src/a.py", "docs/b.md"))
    again = try_rules(case(facts), asked, {"ci.red": 1}, ())
    assert names(again) == [rule.name for rule in asked.rules]
    assert (again.decision.step, again.untold) == (Step.ASK, ())
    before = frozenset(match.cause for match in again.matches[1:])
    assert names(try_rules(case(facts), asked, {"ci.red": 1}, before)) == ["a"]


def test_nothing_known_is_kept_apart_from_known_to_be_nothing():
    asked = rules("{not: {files: [src/]}}", "{not: {cost: {above: 1}}}")
    none = replace(FULL, files=(), cost_usd=None)
    assert names(try_rules(case(none), asked, None, ())) == ["a"]


@pytest.mark.parametrize("when", ["{files: [x]}", "{not: {files: [x]}}", "{folders: 1}"])
def test_a_rule_that_wants_what_was_cut_cannot_be_told_and_neither_can_its_decision(when):
    made = case(replace(FULL, files=tuple(f"a/{n}.py" for n in range(900))))
    assert (made.asked.files, made.asked.cut) == (None, ("files",))
    again = try_rules(made, rules(when), None, ())
    assert (again.decision, names(again), again.untold) == (None, [], ("a",))
    told = try_rules(made, rules(when, do="notify"), None, ())
    assert (told.decision.step, told.untold) == (Step.ACCEPT, ("a",))
    # Where something else says no, nothing is missed.
    sure = try_rules(made, rules(f"{{all-but: 1, {when[1:]}".replace("all-but: 1", "type: bug")),
                     None, ())  # fmt: skip
    assert (sure.decision.step, sure.untold) == (Step.ACCEPT, ())


def test_long_words_refusals_and_what_looks_like_a_secret_are_not_kept():
    long = asked_of(replace(FULL, claims="x" * (MOST_CLAIMS + 1)), 1, lambda _words: False)
    secret = asked_of(FULL, 1, lambda words: "Done" in words)
    assert long.claims is secret.claims is None
    assert (long.cut, secret.cut, secret.files) == (("claims",), ("claims",), FULL.files)
    assert asked_again(asked_json(long)) == long
    same = rules("{same_failure: {times: 2}}")
    past = (Before(1, "claude", None, None, "y" * 2_000, 1),)
    assert try_rules(replace(case(), past=past), same, None, ()).untold == ("a",)


def test_a_rule_is_tried_as_far_as_decisions_ask_it():
    asked = rules(
        "{lines: {above: 1}}", "{command: [rm]}", "{silence: {minutes: 1}, type: bug}",
        "{any: [{type: bug}, {repeated_calls: {times: 2}}]}", "{not: {command: [rm]}}",
        "{cost_without_change: {above: 1}}", "{folders: 1}",
    )  # fmt: skip
    found = [tried_as(rule) for rule in asked.rules]
    no, part, yes = Tried.NOT, Tried.PART, Tried.WHOLE
    assert found == [yes, no, no, part, no, no, yes]
