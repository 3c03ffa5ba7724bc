"""A structured channel as words: nothing is lost that is not understood, nothing obeyed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.web.transcript import transcribe

CASES = json.loads((Path(__file__).parent / "transcript_cases.json").read_text())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "message", "content", "text", "input", "name", "command"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("case", CASES, ids=[case["say"] for case in CASES])
def test_lines_are_told_as_the_shared_cases_say(case):
    assert transcribe(case["in"]) == (case["out"], case["held"])


@given(st.sampled_from(["assistant", "user", "system", "result"]), JSON, JSON)
def test_no_shape_of_an_object_is_too_odd_to_be_shown(kind, message, result):
    event = {"type": kind, "message": message, "result": result}
    told, held = transcribe(f"{json.dumps(event)}\n")
    assert held == ""
    assert told == "" or told.endswith("\n")


@given(st.text(alphabet="ab\n\x1b[m}", max_size=40))
def test_what_is_no_object_stays_as_it_is(text):
    assert transcribe(text) == (text, "")
