"""Tests that assert less are seen in their text; what was moved or replaced is no loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.task import TaskType
from muster.domain.verdict import Severity
from muster.supervision.weakened import Loss, judge_weakened, losses, read_both

HEAD = "import pytest\nimport calc\n\n\n"
BEFORE = HEAD + (
    "def test_add():\n    result = calc.add(1, 2)\n    assert result == 3\n    assert result > 0\n"
    "\n\ndef test_zero():\n    with pytest.raises(ZeroDivisionError):\n        calc.div(1, 0)\n"
    "\n\nclass TestMore:\n    def test_sub(self):\n        self.assertEqual(calc.sub(3, 2), 1)\n"
    "        self.assertTrue(calc.sub(3, 2))\n"
)
WEAKER = {
    "one is gone": (("    assert result == 3\n", ""), {"test_add": 1}),
    "all are gone": (("    assert result == 3\n    assert result > 0\n", ""), {"test_add": 2}),
    "it always holds": (("assert result == 3", "assert True"), {"test_add": 1}),
    "it is only said": (("assert result == 3", "result == 3"), {"test_add": 1}),
    "it is only called": (
        ("self.assertEqual(calc.sub(3, 2), 1)", "calc.sub(3, 2)"), {"TestMore.test_sub": 1},
    ),
    "passed over": (
        ("    with pytest.raises(ZeroDivisionError):\n        calc.div(1, 0)\n", "    pass\n"),
        {"test_zero": 1},
    ),
    "a comment of it": (("    assert result == 3", "    # assert result == 3"), {"test_add": 1}),
}  # fmt: skip
NO_WEAKER = {
    "another value": ("result == 3", "result == 4"),
    "more of it": ("    assert result > 0\n", "    assert result > 0\n    assert result < 9\n"),
    "into a function": ("    assert result == 3\n", "    is_right(result)\n"),
    "to another test": (
        "    assert result == 3\n    assert result > 0\n",
        "    assert result > 0\n\n\ndef test_three():\n    result = calc.add(1, 2)\n"
        "    assert result == 3\n",
    ),
    "another order": (
        "    assert result == 3\n    assert result > 0\n",
        "    assert result > 0\n    assert result == 3\n",
    ),
    "another layout": ("calc.sub(3, 2), 1)", "\n            calc.sub(3, 2),\n            1,\n)"),
    "a test that is gone": (
        "def test_zero():\n    with pytest.raises(ZeroDivisionError):\n        calc.div(1, 0)\n",
        "",
    ),
    "no Python any more": ("def test_add", "def def"),
}  # fmt: skip


def lost(path: str, before: str, after: str) -> list[Loss]:
    return [loss for both in read_both({path: (before, after)}) for loss in losses(both)]


@pytest.mark.parametrize("name", WEAKER)
def test_a_test_that_lost_an_assertion_is_named(name: str):
    (old, new), gone = WEAKER[name]
    found = lost("test_calc.py", BEFORE, BEFORE.replace(old, new, 1))
    assert {loss.test: loss.gone for loss in found} == gone


@pytest.mark.parametrize("name", NO_WEAKER)
def test_what_was_moved_replaced_or_added_is_no_loss(name: str):
    old, new = NO_WEAKER[name]
    assert old in BEFORE
    assert lost("test_calc.py", BEFORE, BEFORE.replace(old, new, 1)) == []


EMPTY = BEFORE.replace("    assert result == 3\n    assert result > 0\n", "    pass\n")
FEWER = BEFORE.replace("    assert result == 3\n", "")


@pytest.mark.parametrize(
    ("kind", "after", "severity"),
    [
        (TaskType.BUG, EMPTY, Severity.VETO),
        (TaskType.BUG, FEWER, Severity.ASK),
        (TaskType.REFACTOR, EMPTY, Severity.ASK),
    ],
)
def test_one_that_asserts_nothing_is_refused_where_no_reason_is_given_else_looked_at(
    kind: TaskType, after: str, severity: Severity
):
    (finding,) = judge_weakened(kind, read_both({"t/test_a.py": (BEFORE, after)}))
    assert (finding.code, finding.severity) == ("tests.weakened", severity)
    assert "test_add in t/test_a.py" in finding.text


def test_files_that_are_new_gone_or_the_same_have_lost_nothing():
    texts = {"t/new.py": (None, BEFORE), "t/old.py": (BEFORE, None), "t/same.py": (BEFORE, BEFORE)}
    assert judge_weakened(TaskType.BUG, read_both(texts)) == ()


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_makes_it_fall(one: str, other: str):
    for name in ("a.py", "a.js", "a.ts", "a_test.go", "a.rs"):
        lost(name, one, other)
