"""Rules of breakpoints: every fault is told with its line; strangers only add."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.condition import FULL
from muster.domain.agent import Outcome
from muster.domain.verdict import BreakpointKind, Decision, Finding, Severity, Step
from muster.supervision.case import Case, Hold, Policy
from muster.supervision.condition import Facts
from muster.supervision.decide import held_back
from muster.supervision.rulebook import FILE, RuleBook
from muster.supervision.rules import Action, Match, Source, holding
from muster.supervision.rules_file import built_in, read_rules
from supervision.conditions import registered

LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
CONDITIONS = registered()
BUILT_IN = built_in(CONDITIONS)
MUCH = "    when: {cost: {above: much}}"
FAULTY = """\
version: 2
colour: red
rules:
  - name: Bad Name
    when: {cost: {above: much}}
    do: pause
  - when: {}
    do: stop
  - name: a
    when: {costs: {above: 1}}
    do: {approve: }
  - name: a
    when: {cost: 5}
    do: approve
  - nothing
  - name: b
    when:
      type: [feature, story]
      command: "FOO=1"
      files: ["../x"]
      confidence: {below: 2}
      same_failure: {times: 1}
      minutes: {over: 3}
      contradiction: false
      silence: {minutes: -1}
      event: {times: 2}
    do: {aprove: lead}
    color: red
  - name: c
    do: {approve: "The Boss"}
    ask: 5
    active: perhaps
  - name: d
    active: false
  - name: e
    when:
      any: []
      cost: {}
      outcome: exploded
      not: {repeated_calls: {times: many}}
    do: [pause]
  - name: f
    name: g
"""


def faults(text: str | bytes, source: Source = Source.PROJECT):
    data = text if isinstance(text, bytes) else text.encode()
    return read_rules(data, CONDITIONS, source=source, below=BUILT_IN).faults


def rules(text: str, *, trusted: bool = True):
    read = read_rules(text.encode(), CONDITIONS, source=Source.PROJECT, below=BUILT_IN)
    assert read.faults == ()
    return BUILT_IN.with_file(read.rules, read.changes, trusted=trusted)


def rule(text: str):
    """One new rule with these conditions."""
    return rules(f"rules:\n  - name: mine\n    do: pause\n    when:\n      {text}\n")


def test_each_of_thirty_faults_in_one_file_names_its_line_and_its_remedy():
    told = faults(FAULTY)
    assert len(told) >= 30
    assert all(fault.what and fault.remedy for fault in told)
    assert all(before.line <= after.line for before, after in pairwise(told))
    assert len({(fault.line, fault.what) for fault in told}) == len(told)
    lines = FAULTY.splitlines()
    said = {fault.what: lines[fault.line - 1] for fault in told}
    for what, line in {
        "'above' is not a number from 0 to 1000000: it is 'much'": MUCH,
        "there is no condition 'costs'": "    when: {costs: {above: 1}}",
        "'times' is not a whole number from 2 to 20: it is 1": "      same_failure: {times: 1}",
        "'type' is not known: it is 'story'": "      type: [feature, story]",
        "'approve' names no role": "    do: approve",
        "'do' cannot be 'stop'": "    do: stop",
        "'name' is here twice": "    name: g",
        "there is no rule 'd' to be switched off": "  - name: d",
    }.items():
        assert said[what] == line


NO_YAML = {
    "rules: [\n": 2, "rules:\n\t- name: x\n": 2, "a: &x 1": 1, "rules:\n- *x": 2,
    "rules:\n- !!python/object:os.system {}": 2, "rules: []\n---\nrules: []": 2, "[" * 40: 1,
    "rules:\n- name: \x07": 2, "rules: []\nrules: []": 2, "- 1": 1, "rules: {}": 1, "rules": 1,
    "? [a]\n: b": 1, "rules: 'x": 1, "x" * 70_000: 1,
}  # fmt: skip


@pytest.mark.parametrize("text", NO_YAML, ids=lambda text: repr(text[:20]))
def test_what_is_no_plain_yaml_is_told_where_it_begins(text):
    told = faults(text)
    assert told
    assert told[0].line <= NO_YAML[text]


def test_bytes_that_are_no_utf_8_are_told_with_their_line():
    (fault,) = faults(b"rules:\n  - name: \xff\xfe\n")
    assert (fault.line, fault.what) == (2, "the file is not UTF-8")


@hypothesis.settings(max_examples=5000 if LONG else 40)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
def test_no_file_makes_it_fall(data):
    for fault in faults(data):
        assert fault.line >= 1


def test_words_of_yaml_1_1_are_words():
    (fault,) = faults("rules:\n- name: stuck\n  active: off\n")
    assert fault.remedy == "write true or false"


def test_the_rules_that_come_along_are_those_that_are_promised():
    assert {rule.name for rule in BUILT_IN.rules} == {
        *("repeated-failure", "low-confidence", "risky-files", "budget", "destructive-command"),
        *("stuck", "oscillation", "contradiction"),
    }


HOLDS = {
    "repeated-failure": replace(FULL, refusals=("red",) * 3, step="retry"),
    "low-confidence": replace(FULL, confidence=0.4),
    "risky-files": replace(FULL, files=("deploy/id_rsa",)),
    "budget": replace(FULL, cost_usd=0.81, budget_usd=1.0),
    "destructive-command": replace(FULL, call=("Bash", "git push --force")),
    "stuck": replace(FULL, calls=(("Bash", "make"),) * 20),
    "oscillation": replace(FULL, trees=("a", "b", "a", "b"), step="retry"),
    "contradiction": replace(
        FULL,
        claims="All tests pass.",
        findings=(Finding("tests.red", Severity.VETO, "The tests fail."),),
    ),
}


@pytest.mark.parametrize("name", HOLDS)
def test_each_of_them_holds_for_what_it_is_for_and_can_be_switched_off(name):
    (match,) = BUILT_IN.matching(HOLDS[name])
    assert match.rule.name == name
    assert match.held
    off = rules(f"rules:\n- name: {name}\n  active: false\n")
    assert off.matching(HOLDS[name]) == ()
    assert off.switched_off == {name: Source.PROJECT}


def test_none_of_them_holds_for_work_as_it_should_be():
    assert BUILT_IN.matching(FULL) == ()
    assert BUILT_IN.matching(Facts()) == ()


def test_a_person_changes_a_part_of_one_by_its_name():
    changed = rules("rules:\n- name: contradiction\n  do: {approve: lead}\n")
    (match,) = changed.matching(HOLDS["contradiction"])
    assert (match.rule.action, match.rule.role) == (Action.APPROVE, "lead")
    assert match.rule.source is Source.PROJECT
    assert match.as_json()["role"] == "lead"


def test_a_repository_that_is_not_trusted_only_adds():
    text = (
        "rules:\n- name: stuck\n  active: false\n"
        "- name: destructive-command\n  when: {command: [nothing]}\n"
        "- name: mine\n  when: {files: [b.py]}\n  do: pause\n"
    )
    strange = rules(text, trusted=False)
    assert {rule.name for rule in strange.rules} == {*(r.name for r in BUILT_IN.rules), "mine"}
    assert strange.matching(HOLDS["stuck"])
    assert strange.matching(HOLDS["destructive-command"])
    assert [line.partition(":")[0] for line in strange.ignored] == ["line 2", "line 4"]
    trusted = rules(text)
    assert not trusted.matching(HOLDS["stuck"])
    assert not trusted.matching(HOLDS["destructive-command"])
    assert trusted.ignored == ()


def test_conditions_hold_together_or_alternatively_or_not():
    both = rule("{type: bug, files: [a.py]}")
    a_bug = replace(FULL, type="bug", files=("a.py",))
    assert len(both.matching(a_bug)) == 1
    assert not both.matching(replace(a_bug, files=("b.py",)))
    either = rule("{any: [{type: bug}, {files: [a.py]}]}")
    assert either.matching(replace(a_bug, type="chore"))
    assert not either.matching(replace(a_bug, type="chore", files=()))
    neither = rule("{files: [a.py], not: {type: bug}}")
    assert not neither.matching(a_bug)
    assert neither.matching(replace(a_bug, type="chore"))


def test_what_is_not_known_holds_nothing_also_not_the_other_way_round():
    unsure = rule("{not: {confidence: {below: 0.9}}}")
    assert not unsure.matching(Facts())
    assert unsure.matching(replace(FULL, confidence=0.95))


def test_a_condition_of_a_stranger_that_fails_holds_nothing_and_is_told_when_it_cannot_read():
    class Broken:
        example = "broken: 1"

        def read(self, given):
            if given.value == 2:
                raise ZeroDivisionError("two")
            return given.value

        def look(self, asked, facts):
            raise RuntimeError("fell")

    def read(value):
        text = f"rules:\n- name: x\n  do: pause\n  when: {{broken: {value}}}\n"
        return read_rules(text.encode(), {"broken": Broken()}, source=Source.HOME)

    assert BUILT_IN.with_file(read(1).rules, (), trusted=True).matching(FULL) == ()
    (fault,) = read(2).faults
    assert (fault.line, "ZeroDivisionError: two" in fault.what) == (4, True)


def test_the_strictest_rule_comes_first_and_each_cause_has_its_own_mark():
    found = BUILT_IN.matching(replace(HOLDS["budget"], files=(".env",)))
    assert [match.rule.name for match in found] == ["risky-files", "budget"]
    later = BUILT_IN.matching(replace(HOLDS["budget"], files=(".env",), attempt=3))
    assert found[1].cause == later[1].cause
    assert found[0].cause != later[0].cause


ACCEPT = Decision(Step.ACCEPT, ("The tests pass.",))
RISKY = BUILT_IN.matching(HOLDS["risky-files"])


def held(decision: Decision, matches: tuple[Match, ...] = RISKY) -> Decision:
    """The decision as the rules that match leave it."""
    holds = tuple(Hold(m.sentence(), m.rule.ask, m.rule.role) for m in holding(matches))
    case = Case(
        findings=(), policy=Policy(), outcome=Outcome.COMPLETED, tries=1, label="MU-1", holds=holds
    )
    return held_back(decision, case)


def test_work_that_would_be_merged_waits_for_a_person_and_may_be_merged():
    waits = held(ACCEPT)
    assert (waits.step, waits.kind) == (Step.ASK, BreakpointKind.RULE)
    assert waits.options == ("merge", "retry", "fail", "cancel")
    assert "risky-files" in waits.reasons[0]
    assert waits.reasons[-1] == "The tests pass."


def test_refused_work_that_waits_cannot_be_merged_by_the_answer():
    retry = Decision(Step.RETRY, ("Red.",), feedback={"findings": []})
    waits = held(retry)
    assert waits.options == ("retry", "fail", "cancel")
    assert waits.feedback == {"findings": []}


def test_a_question_stays_what_it_is_and_a_rule_that_only_tells_holds_nothing():
    asks = Decision(Step.ASK, ("Look.",), "Merge MU-1?", "merge", ("merge", "retry"))
    still = held(asks)
    assert (still.kind, still.options) == ("merge", ("merge", "retry"))
    assert still.question.endswith("Merge MU-1?")
    assert held(ACCEPT, BUILT_IN.matching(HOLDS["budget"])) == ACCEPT
    assert held(Decision(Step.PARK, ())).step is Step.PARK


MINE = b"rules:\n- name: mine\n  when: {files: [a.py]}\n  do: pause\n"


def names(found):
    return {rule.name for rule in found.rules.rules} - {rule.name for rule in BUILT_IN.rules}


def test_of_a_file_with_faults_the_last_good_text_stays_also_after_a_restart(home):
    book = RuleBook(CONDITIONS, home)
    assert names(book.rules("prj_1", "c1", "", lambda: MINE)) == {"mine"}
    for known in (book, RuleBook(CONDITIONS, home)):
        found = known.rules("prj_1", "c2", "", lambda: MINE + b"- name: B\n")
        assert names(found) == {"mine"}
        assert [fault.line for fault in found.faults[FILE]] == [5, 5, 5]
        assert known.are_news("prj_1", found)
        assert not known.are_news("prj_1", found)
    assert names(RuleBook(CONDITIONS, home).rules("prj_1", "c3", "", lambda: None)) == set()
    assert names(RuleBook(CONDITIONS, home).rules("prj_2", "c2", "", lambda: b"rules: 1")) == set()


def test_a_text_is_read_once_for_each_commit(home):
    book = RuleBook(CONDITIONS, home)
    reads = []

    def read():
        reads.append(1)
        return MINE

    assert book.rules("prj_1", "c1", "", read) is book.rules("prj_1", "c1", "", read)
    assert len(reads) == 1


def test_a_person_switches_a_rule_off_for_all_projects_in_the_home(home):
    home.mkdir(exist_ok=True)
    (home / "breakpoints.yaml").write_text("rules:\n- name: stuck\n  active: false\n")
    found = RuleBook(CONDITIONS, home).rules("prj_1", "c1", "", lambda: MINE)
    assert found.rules.switched_off == {"stuck": Source.HOME}
    assert names(found) == {"mine"}
