"""An agent's output as lines: colours stay, nothing else that a terminal would obey."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.web.terminal import Screen, lines

CASES = json.loads((Path(__file__).parent / "terminal_cases.json").read_text())


def drawn(parts):
    return [[style.classes, text] for style, text in parts]


@pytest.mark.parametrize("case", CASES, ids=[case["say"] for case in CASES])
def test_output_is_drawn_as_the_shared_cases_say(case):
    screen = Screen()
    found = list(screen.feed(case["in"]))
    assert drawn(screen.parts) == case["rest"]
    assert [str(line) for line in found] == [html(parts) for parts in case["lines"]]


def html(parts):
    def safe(text):
        for raw, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;")):
            text = text.replace(raw, entity)
        return text.replace('"', "&#34;")

    return "".join(
        f'<span class="{names}">{safe(text)}</span>' if names else safe(text)
        for names, text in parts
    )


@given(st.text(alphabet="ab<>&\"'\x1b[]0;m8\r\n\b\x07\x9b\u202eé", max_size=60))
def test_no_output_can_leave_markup_or_an_escape_behind(text):
    for line in lines(text):
        assert "\x1b" not in line
        assert "\u202e" not in line
        bare = str(line)
        for piece in ("</span>",):
            bare = bare.replace(piece, "")
        assert "<" not in bare.replace("<span class=", "")


def test_the_end_of_some_output_is_a_line_too():
    assert [str(line) for line in lines("a\nb")] == ["a", "b"]
    assert [str(line) for line in lines("a\n")] == ["a"]
