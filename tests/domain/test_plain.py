"""Text of strangers is harmless once it is plain."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.plain import plain, plain_line

NASTY = st.text("a\x1b[]0;m\x07\x9b\x9d\u202e\u2066\r\n\t\x00\ud800", max_size=40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]52;c;aGk=\x07x", "x"),
        ("\x1b]8;;http://a\x1b\\link", "link"),
        ("\x1bP1$r\x1b\\y", "y"),
        ("a\rb\r\nc", "a\nb\nc"),
        ("tab\tstays", "tab\tstays"),
        ("a\u202eb\u200b", "ab"),
        ("naïve 日本 🎉", "naïve 日本 🎉"),
    ],
)
def test_escapes_and_controls_go_and_words_stay(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(NASTY | st.text())
def test_nothing_that_acts_is_left(text: str) -> None:
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", plain(text)
    )
    line = plain_line(text, 20)
    assert "\n" not in line
    assert len(line) <= 20
