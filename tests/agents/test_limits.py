"""Errors that say that a limit was met, in the words of the programs and of their services."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.agents import limits, prices, service_errors
from muster.domain.agent import Outcome

NOW = datetime(2026, 11, 21, 15, 0, tzinfo=UTC).timestamp()
MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.fixture(autouse=True)
def in_utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


# What is said, and how much later it can be tried again; a time of day may be rounded by a minute.
MET = [
    ("You've hit your limit · resets 3am (Europe/Berlin)", 11 * HOUR + MINUTE),
    ("You've hit your 5-hour limit · resets 5:30pm", 2.5 * HOUR + MINUTE),
    ("Claude AI usage limit reached|1795300000", 1795300000 - NOW),
    (
        "Claude usage limit reached. Your limit will reset at 7pm (America/New_York).",
        9 * HOUR + MINUTE,
    ),
    ("5-hour limit reached ∙ resets 10pm", 7 * HOUR + MINUTE),
    ("Weekly limit reached · resets Nov 23 at 9am (UTC)", 42 * HOUR + MINUTE),
    ("You're out of extra usage · resets 6pm (UTC)", 3 * HOUR + MINUTE),
    (
        "You’ve hit your usage limit. Upgrade to Pro (https://x.test/a) or try again at 3:42 PM.",
        43 * MINUTE,
    ),
    (
        "You've hit your usage limit. Try again in 2 days 3 hours 4 minutes.",
        2 * DAY + 3 * HOUR + 4 * MINUTE,
    ),
    (
        "You've hit your usage limit. Try again at Nov 24th, 2026 4:05 PM.",
        3 * DAY + HOUR + 6 * MINUTE,
    ),
    ("exceeded retry limit, last status: 429 Too Many Requests", None),
    (
        "You exceeded your current quota, please check your plan. Please retry in 34.5s.",
        34.5,
    ),
    ("Resource has been exhausted (e.g. check quota).", None),
    (
        "You have exhausted your capacity on this model. Your quota will reset after 3h12m5s.",
        3 * HOUR + 12 * MINUTE + 5,
    ),
    ("Rate limit reached for m on tokens per min (TPM). Please try again in 6m0s.", 6 * MINUTE),
    ("Rate limit reached. Please try again in 20ms.", 0.02),
    ("Qwen OAuth quota exceeded: Your free daily quota has been reached.", None),
    ("Error 529 overloaded_error: Overloaded", None),
    ("Usage limit reached, resets at 2026-11-22T00:00:00Z", 9 * HOUR),
]


@pytest.mark.parametrize(("text", "later"), MET, ids=lambda v: str(v)[:40])
def test_each_wording_of_a_limit_is_known_with_its_end(text, later):
    ending = service_errors.ending(text, None, NOW)
    assert ending.outcome is Outcome.RATE_LIMITED
    if later is None:
        assert ending.retry_at is None
    else:
        assert ending.retry_at == pytest.approx(NOW + later, abs=0.01)


@pytest.mark.parametrize(
    "text",
    [
        "insufficient_quota: You exceeded your current quota",
        "Your credit balance is too low to access the Anthropic API.",
        "401 Incorrect API key provided: sk-x",
        "Not logged in · Please run /login",
        "API key not valid. Please pass a valid API key.",
    ],
)
def test_what_only_a_person_can_mend_is_no_limit_to_wait_for(text):
    assert service_errors.ending(text, None, NOW).outcome is Outcome.AUTH
    assert service_errors.ending(text, 429, NOW).outcome is Outcome.AUTH


@pytest.mark.parametrize(
    "text",
    [
        "The maximum context limit reached: 200000 tokens",
        "prompt is too long: the limit exceeded",
        "Reached max turns limit exceeded",
        "the function returns the limit of the sum",
        "",
    ],
)
def test_a_limit_of_the_work_is_no_limit_of_the_service(text):
    assert service_errors.ending(text, None, NOW).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.FAILED),
        (401, Outcome.AUTH),
        (402, Outcome.AUTH),
        (403, Outcome.AUTH),
        (404, Outcome.FAILED),
        (429, Outcome.RATE_LIMITED),
        (500, Outcome.UNAVAILABLE),
        (503, Outcome.UNAVAILABLE),
        (529, Outcome.RATE_LIMITED),
    ],
)
def test_the_services_status_decides_where_its_words_say_nothing(status, outcome):
    assert service_errors.ending("it said no", status, NOW).outcome is outcome


@pytest.mark.parametrize(
    "text",
    [
        "The server had an error while processing your request. Sorry about that!",
        "Internal server error",
        "The service is currently unavailable.",
        "Service Unavailable",
        "502 Bad Gateway",
    ],
)
def test_a_service_that_says_that_it_broke_is_no_fault_of_the_work(text):
    assert service_errors.ending(text, None, NOW).outcome is Outcome.UNAVAILABLE
    assert service_errors.ending(text, 404, NOW).outcome is Outcome.FAILED


@pytest.mark.parametrize("text", ["Internal error: no such session", "a syntax error on a server"])
def test_not_every_error_is_one_of_the_service(text):
    assert service_errors.ending(text, None, NOW).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("told", "outcome", "later"),
    [
        ({"text": "rate_limit", "status": 429, "delay_seconds": 3600.0}, "rate_limited", HOUR),
        ({"text": "try again in 7m0s", "status": 429}, "rate_limited", 7 * MINUTE),
        ({"text": "", "status": 503, "delay_seconds": 60.0}, "unavailable", MINUTE),
        ({"text": "connection lost", "status": None}, "unavailable", None),
        ({"text": "Incorrect API key", "status": 401, "delay_seconds": 2.0}, "auth", None),
    ],
)
def test_a_program_that_fell_silent_after_a_retry_waits_for_its_service(told, outcome, later):
    ending = service_errors.waiting(told, NOW, "said nothing for 120 s")
    assert (ending.outcome, ending.retry_at) == (outcome, NOW + later if later else None)
    assert ending.reason.endswith("it said nothing for 120 s")


def test_an_end_that_is_told_in_a_field_goes_before_the_words():
    ending = service_errors.ending("try again in 5 minutes", 429, NOW, NOW + 99)
    assert ending.retry_at == NOW + 99


@pytest.mark.parametrize(
    "text", ["limit reached|9999999999", "limit reached, try again in 900 days", "reset at 25:99"]
)
def test_an_end_that_cannot_be_is_not_believed(text):
    assert limits.retry_at(text, NOW) is None


@given(text=st.text(max_size=300) | st.from_regex(r"(reset|retry|again) (at|in|after) [\w:. ]*"))
def test_no_words_make_it_fail_or_wait_for_ever(text):
    ending = service_errors.ending(text, None, NOW)
    assert ending.reason
    if ending.retry_at is not None:
        assert NOW - 60 <= ending.retry_at <= NOW + 36 * DAY


def test_an_error_that_is_the_services_whole_answer_is_told_by_its_message():
    told = '{"error": {"code": 401, "message": "scripted"}}'
    assert service_errors.ending(told, 401, NOW).reason == "scripted (the service answered 401)"
    assert service_errors.ending("401 no key", 401, NOW).reason == "401 no key"


# --- prices ---------------------------------------------------------------------------------------


def test_tokens_of_a_known_model_have_a_price_and_the_cache_is_cheaper():
    whole = prices.cost("gpt-5", 1_000_000, 1_000_000)
    assert whole == pytest.approx(1.25 + 10)
    assert prices.cost("gpt-5", 1_000_000, 0, 1_000_000) == pytest.approx(0.125)
    assert prices.cost("gpt-5", 10, 0, 99) == pytest.approx(10 * 0.125e-6)


def test_a_providers_prefix_and_a_date_do_not_hide_a_model():
    assert prices.cost("openai/gpt-5-2025-08-07", 100, 5) == prices.cost("gpt-5", 100, 5)


def test_an_unknown_model_has_no_price():
    assert prices.cost("nobody-knows-1", 100, 5) is None
    assert prices.cost("gpt-5-unheard-of", 100, 5) is None
