"""What every condition of rules must keep: it reads its own example, tells faults, and is pure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.domain.verdict import Finding, Severity
from muster.supervision.condition import Condition, Facts, Given, Held
from muster.supervision.rules import Source
from muster.supervision.rules_file import read_rules

FULL = Facts(
    type="feature", agent="claude", attempt=2, events={"network.refused": 1},
    call=("Bash", "make it"), calls=(("Bash", "make it"),), cost_usd=0.5, budget_usd=1.0,
    idle_cost=0.1, seconds=10.0, quiet_seconds=1.0,
    findings=(Finding("tests.green", Severity.OK, "The tests pass."),), step="accept",
    outcome="completed", claims="Done.", files=("src/a.py",), lines=12, confidence=0.9,
    refusals=("",), trees=("aa",),
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


def as_given(value: object, told: list, name: str = "it") -> Given:
    """A value as a rules file gives it."""
    inside = value
    if isinstance(value, dict):
        inside = {key: as_given(item, told, key) for key, item in value.items()}
    elif isinstance(value, list):
        inside = [as_given(item, told, name) for item in value]
    return Given(inside, 1, name, told)


class ConditionContract:
    """Give `kind` and `condition`, and `holds`: facts for which its example holds."""

    @pytest.fixture
    def kind(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def condition(self) -> Condition:
        raise NotImplementedError

    @pytest.fixture
    def holds(self) -> Facts:
        raise NotImplementedError

    @pytest.fixture
    def asked(self, kind, condition):
        return self._rule(kind, condition)

    def _rule(self, kind, condition):
        text = f"rules:\n- name: x\n  do: pause\n  when:\n    {condition.example}\n"
        read = read_rules(text.encode(), {kind: condition}, source=Source.PROJECT)
        assert read.faults == (), [str(fault) for fault in read.faults]
        (part,) = read.rules[0].when.parts
        return part.asked

    def test_its_example_is_read_without_a_fault(self, condition, asked):
        assert isinstance(condition, Condition)
        assert asked is not None

    def test_it_holds_with_what_it_saw_where_its_example_holds(self, condition, asked, holds):
        found = condition.look(asked, holds)
        assert isinstance(found, Held)
        assert found.values
        assert condition.look(asked, holds) == found

    def test_it_does_not_hold_for_facts_that_are_not_known(self, condition, asked):
        assert not condition.look(asked, Facts())

    def test_it_does_not_hold_for_everything(self, condition, asked, holds):
        tame = replace(FULL, type="chore", agent="another", attempt=1)
        assert not condition.look(asked, tame)

    def test_any_value_is_read_or_told_as_a_fault(self, condition):
        @settings(max_examples=10)
        @given(VALUES)
        def read(value):
            told: list = []
            asked = condition.read(as_given(value, told))
            assert all(fault.remedy and fault.line == 1 for fault in told)
            if not told:
                condition.look(asked, FULL)

        read()
