"""Times, figures and machine words as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.web import phrases

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (6600, "1 h 50"),
        (90000, "1 d"),
    ],
)
def test_a_span_is_said_with_its_unit(seconds, words):
    assert phrases.span(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(0, "00:00"), (522, "08:42"), (3909, "1:05:09")])
def test_a_running_clock_shows_hours_only_when_there_are_some(seconds, words):
    assert phrases.clock(seconds) == words


def test_an_age_below_a_minute_is_now_and_a_time_to_come_is_no_age():
    assert phrases.age("2026-11-21T11:59:30.000Z", NOW) == "now"
    assert phrases.age("2026-11-21T11:48:00.000Z", NOW) == "12 min"
    assert phrases.seconds_since("2026-11-21T13:00:00.000Z", NOW) == 0
    assert phrases.seconds_since(None, NOW) == 0


def test_a_time_without_a_zone_is_utc():
    assert phrases.moment("2026-11-21T12:00:00") == NOW


def test_money_counts_and_sizes_carry_their_unit():
    assert phrases.money(41.8) == "$41.80"
    assert phrases.money(None) == "$0.00"
    assert phrases.count(1, "task") == "1 task"
    assert phrases.count(1200, "reply", "replies") == "1,200 replies"
    assert [phrases.size(n) for n in (812, 4200, 4_200_000, 9e12)] == [
        "812 B",
        "4.2 kB",
        "4.2 MB",
        "9000.0 GB",
    ]


def test_an_agent_has_two_letters_and_a_name_even_when_nobody_knows_it():
    assert (phrases.mark("claude"), phrases.agent_name("claude")) == ("CC", "Claude Code")
    assert (phrases.mark("my-bot"), phrases.agent_name("my-bot")) == ("MY", "My bot")
    assert phrases.mark(None) == "··"


@given(st.text())
def test_one_line_of_a_machine_never_moves_the_cursor_or_breaks_the_line(text):
    said = phrases.plain(text)
    assert "\x1b" not in said
    assert "\n" not in said
    assert not any(ord(c) < 32 for c in said)


def test_text_keeps_its_lines_and_loses_its_escapes():
    assert phrases.visible("a\r\n\tb\x1b[31mc\x1b[0m\u202e") == "a\n\tbc"
    assert phrases.humane("base_commit") == "Base commit"


def test_a_chart_is_drawn_only_when_there_is_something_to_draw():
    assert phrases.sparkline([0, 0, 0]) is None
    assert phrases.sparkline([4]) is None
    line = phrases.sparkline([1, 3, 2])
    assert line is not None
    assert line["line"].startswith("M0.0 19.0 L39.0 3.0")
