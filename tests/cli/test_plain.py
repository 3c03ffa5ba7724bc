"""Strangers' text: whatever it is, and however it is cut, nothing is left that a terminal obeys."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.plain import RESET, Cleaner, on_terminal, plain, plain_line

SGR = re.compile(r"\x1b\[[0-9;:]*m")
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
PIECES = st.sampled_from(
    ["\x1b", "[", "]", "m", "31", "0;", "\x07", "\\", "P", "_", "\x9b", "\x9d", "\x9c", "\n", "\r",
     "a", "ü", "\u202e", "\u2066", "\ud800", "\U000e0041", "\x00", "\x85", "\u2028", "(", " ", "?"]
)  # fmt: skip
HOSTILE = st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join)


@given(HOSTILE)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = plain(text)
    assert all(c in "\n\t" or c.isprintable() or c.isspace() or ord(c) > 0xFF for c in shown)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown
    )


@given(HOSTILE)
def test_with_colour_only_colour_is_left_and_it_is_closed(text: str) -> None:
    shown = plain(text, colour=True)
    assert "\x1b" not in SGR.sub("", shown)
    assert [RESET, *SGR.findall(shown)][-1] in {RESET, "\x1b[m"}


@given(HOSTILE)
def test_of_another_terminal_only_text_colour_and_moves_in_the_line_are_left(text: str) -> None:
    shown = on_terminal(text)
    assert not OBEYED.search(SGR.sub("", shown).translate({8: None, 13: None}))
    assert on_terminal(shown) == shown
    assert on_terminal("a\b \b\r\n\x1b[1;31mé\x1b[0m\t") == "a\b \b\r\n\x1b[1;31mé\x1b[0m\t"


@given(HOSTILE)
def test_what_was_cleaned_stays_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(HOSTILE, st.lists(st.integers(0, 200), max_size=8))
def test_a_stream_is_cleaned_as_if_it_came_whole(text: str, cuts: list[int]) -> None:
    cleaner = Cleaner()
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = [cleaner.feed(text[a:b]) for a, b in pairwise(edges)]
    assert "".join([*parts, cleaner.rest()]) == plain(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe ✓ 日本", "größe ✓ 日本"),
        ("a\tb\nc", "a\tb\nc"),
        ("10%\r20%\r\n", "10%\n20%\n"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]never ended\nthe next line", "\nthe next line"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("family 👨\u200d👩", "family 👨\u200d👩"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_what_a_person_should_read_stays(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_colour_stays_when_asked_for() -> None:
    assert plain("\x1b[31mred", colour=True) == "\x1b[31mred\x1b[0m"


def test_a_line_is_one_line_and_not_endless() -> None:
    assert plain_line("a\nb\t c\u2028d") == "a b c d"
    assert len(plain_line("x" * 10_000)) == 300
    assert plain_line("x" * 10, limit=5) == "xxxx…"


def test_a_flood_without_an_end_is_not_held_back_for_ever() -> None:
    cleaner = Cleaner()
    shown = "".join(cleaner.feed("\x1b]0;" + "x" * 20_000) for _ in range(3))
    assert "\x1b" not in shown + cleaner.rest()


def test_the_colour_of_a_stream_goes_on_over_its_pieces_and_ends_with_it() -> None:
    cleaner = Cleaner(colour=True)
    shown = [cleaner.feed("\x1b[31mred "), cleaner.feed("still red\n"), cleaner.rest()]
    assert shown == ["\x1b[31mred ", "still red\n", "\x1b[0m"]
    closed = Cleaner(colour=True)
    assert closed.feed("\x1b[31mred\x1b[0m\n") + closed.rest() == "\x1b[31mred\x1b[0m\n"
