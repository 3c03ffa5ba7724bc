"""The reader of stream-json, on lines that no program ever printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.driver import is_small_and_plain
from muster.agents import cassette
from muster.agents.said import Lines, one_line, readable, small, use_line
from muster.agents.stream_json import REMEMBERED, StreamJsonReader
from muster.domain.agent import Outcome

CASSETTES = sorted((Path(__file__).parents[1] / "cassettes").glob("claude-*.jsonl"))
EVENTS = [
    json.loads(line.data)
    for path in CASSETTES
    for line in cassette.read(path).take(1)
    if line.kind == "out"
]

FIELDS = (
    *("subtype", "message", "content", "usage", "error", "result", "errors", "is_error"),
    *("modelUsage", "total_cost_usd", "rate_limit_info", "tool_use_result", "api_error_params"),
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def places(value, path=()):
    """Every place in a nested value."""
    yield path
    if isinstance(value, (dict, list)):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(below, (*path, key))


def changed(value, path, new):
    """The same value with another one at a place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def fed(*events) -> tuple[list, StreamJsonReader]:
    reader = StreamJsonReader("/workspace")
    lines = [json.dumps(event).encode() + b"\n" for event in events]
    return [fact for line in lines for fact in reader.feed(line)], reader


@given(st.data())
def test_a_recorded_event_with_anything_in_any_place_does_no_harm(data):
    event = data.draw(st.sampled_from(EVENTS))
    path = data.draw(st.sampled_from(list(places(event))))
    facts, reader = fed(changed(event, path, data.draw(anything)))
    assert all(is_small_and_plain(fact) for fact in facts)
    assert reader.end(0, "exit").reason


@given(
    kind=st.sampled_from(["system", "assistant", "user", "rate_limit_event", "result", "x"]),
    rest=st.dictionaries(
        st.sampled_from(FIELDS),
        anything,
    ),
)
@example(kind="result", rest={"total_cost_usd": 10**400, "modelUsage": {"m": {"costUSD": 1}}})
@example(kind="result", rest={"total_cost_usd": float("nan"), "usage": {"input_tokens": -1}})
@example(kind="assistant", rest={"message": {"content": [{"type": "text", "text": "\ud800"}]}})
@example(kind="system", rest={"subtype": "\u202eevil\x1b[31m"})
def test_an_event_with_any_fields_does_no_harm(kind, rest):
    facts, reader = fed({"type": kind, **rest})
    assert all(is_small_and_plain(fact) for fact in facts)
    assert reader.end(0, "exit").outcome is not Outcome.LOST


def test_a_number_too_long_for_python_and_a_nest_too_deep_are_kept_as_raw():
    reader = StreamJsonReader()
    long = b'{"type": ' + b"9" * 5000 + b"}\n"
    deep = b'{"type":' * 50_000 + b"\n"
    assert [fact.kind for fact in reader.feed(long + deep)] == ["raw", "raw"]


def test_a_tools_input_of_megabytes_becomes_a_short_line():
    block = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "x" * 5_000_000}}
    facts, _ = fed({"type": "assistant", "message": {"content": [block]}})
    assert len(facts[0].data["summary"]) <= 160


@pytest.mark.parametrize(
    ("tool", "given_input", "summary"),
    [
        ("Bash", {"description": "Lists", "command": "ls\n  -la"}, "Bash ls -la"),
        ("Grep", {"path": "src", "pattern": "def "}, "Grep def"),
        ("Edit", {"file_path": "/workspace/a/b.py"}, "Edit a/b.py"),
        ("Edit", {"file_path": "/elsewhere/b.py"}, "Edit /elsewhere/b.py"),
        ("Own", {"number": 1, "word": "first"}, "Own first"),
        ("Own", {}, "Own"),
    ],
)
def test_a_live_line_names_the_tool_and_what_it_is_about(tool, given_input, summary):
    block = {"type": "tool_use", "id": "t", "name": tool, "input": given_input}
    facts, _ = fed({"type": "assistant", "message": {"content": [block]}})
    assert facts[0].data["summary"] == summary


def test_a_thought_is_told_as_a_thought():
    block = {"type": "thinking", "thinking": "Hm."}
    facts, _ = fed({"type": "assistant", "message": {"content": [block]}})
    assert [(f.kind, f.data["text"]) for f in facts] == [("thought", "Hm.")]


def test_tokens_of_a_message_that_comes_in_several_lines_count_once():
    def line(number: str, tokens: int) -> dict:
        usage = {"input_tokens": tokens, "output_tokens": 1}
        return {"type": "assistant", "message": {"id": number, "content": [], "usage": usage}}

    facts, _ = fed(line("a", 10), line("a", 10), line("b", 20), line("a", 10), line("b", 20))
    assert [fact.data["input_tokens"] for fact in facts] == [10, 30]


def test_no_count_of_tokens_grows_beyond_what_can_be_kept():
    usage = dict.fromkeys(("input_tokens", "cache_creation_input_tokens", "output_tokens"), 10**300)
    lines = (
        {"type": "assistant", "message": {"id": f"{n}", "content": [], "usage": usage}}
        for n in range(5000)
    )
    facts, _ = fed(*lines)
    assert 0 < facts[-1].data["output_tokens"] < facts[-1].data["input_tokens"] < 2**63


def test_what_is_remembered_is_bounded_and_no_token_is_forgotten():
    reader = StreamJsonReader()
    count = REMEMBERED + 5
    for number in range(count):
        block = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {}}
        message = {"id": f"m{number}", "content": [block], "usage": {"input_tokens": 1}}
        event = {"type": "assistant", "message": message}
        facts = reader.feed(json.dumps(event).encode() + b"\n")
    assert facts[-1].data["input_tokens"] == count
    done = {"type": "tool_result", "tool_use_id": "t0"}
    event = {"type": "user", "message": {"content": [done]}}
    assert reader.feed(json.dumps(event).encode() + b"\n")[0].data["tool"] == ""


def test_a_line_beyond_the_limit_is_cut_and_the_next_one_is_whole():
    lines = Lines(longest=10)
    pieces = [b"0123", b"4567890123", b"45\nab", b"c\n", b"rest"]
    assert [line for piece in pieces for line in lines.feed(piece)] == [b"0123456789", b"abc"]
    assert lines.rest() == b"rest"
    assert lines.rest() == b""


def test_text_is_cut_where_it_is_too_long():
    assert readable("a" * 5000) == "a" * 3999 + "…"
    assert one_line("a\n\n b\tc") == "a b c"
    assert readable("a \x1b]b\nc") == "a \nc"


def test_nothing_of_what_an_agent_asks_to_do_is_hidden_from_who_decides():
    shown = small({"command": "echo hi \x1b]; rm -rf ~\nrm \u202e-rf\x07 /\r\n"})
    assert shown == {"command": "echo hi ␛]; rm -rf ~\nrm \ufffd-rf␇ /"}
    assert use_line("Bash echo hi \x1b]0; rm -rf ~\x07\n") == "Bash echo hi ␛]0; rm -rf ~␇"
