"""What aider's own events say of a run that ended with status 0."""

from __future__ import annotations

import json

import pytest

from muster.agents.aider import AiderReader
from muster.domain.agent import Outcome

NOW = 1_800_000_000.0


def event(name: str, user: str = "u-1") -> str:
    return json.dumps({"event": name, "properties": {}, "user_id": user, "time": 1})


BEGUN = ["Aider v0.86.2", event("launched"), event("message_send_starting")]
LIMIT = (
    "litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit reached, try again in 7m."
)
OVER = event("exit")


def read(*lines: str, code: int = 0, why: str = "exit", size: int = 10**6) -> AiderReader:
    reader = AiderReader(lambda: NOW)
    data = "\n".join(lines).encode()
    reader.facts = [f for n in range(0, len(data), size) for f in reader.feed(data[n : n + size])]
    reader.ending = reader.end(code, why)
    return reader


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_question_that_met_a_limit_is_no_success_and_says_when_it_ends(size):
    ending = read(*BEGUN, LIMIT, "Retrying in 0.2 seconds...", LIMIT, OVER, size=size).ending
    assert (ending.outcome, ending.retry_at) == (Outcome.RATE_LIMITED, NOW + 420)
    assert "Rate limit reached" in ending.reason


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("litellm.AuthenticationError: OpenAIException - no", Outcome.AUTH),
        ("litellm.InternalServerError: OpenAIException - no", Outcome.UNAVAILABLE),
        ("litellm.ServiceUnavailableError: no", Outcome.UNAVAILABLE),
        ("litellm.BadRequestError: no", Outcome.FAILED),
        ("nothing that is known", Outcome.FAILED),
    ],
)
def test_each_kind_of_error_has_its_outcome(error, outcome):
    assert read(*BEGUN, error, OVER).ending.outcome is outcome


def test_an_answer_after_an_error_is_an_answer():
    assert read(*BEGUN, LIMIT, event("message_send"), OVER).ending.outcome is Outcome.COMPLETED
    again = read(*BEGUN, event("message_send"), event("message_send_starting"), LIMIT, OVER)
    assert again.ending.outcome is Outcome.RATE_LIMITED


def test_what_a_model_says_is_neither_an_event_nor_an_error():
    said = [event("message_send_starting", "u-2"), '{"event": 3}', '{"event"', LIMIT]
    done = read(*BEGUN, event("message_send"), *said, OVER)
    assert done.ending.outcome is Outcome.COMPLETED
    assert len([f for f in done.facts if "event" in f.data["text"]]) == 3
    hidden = read(*BEGUN, event("message_send", "u-2"), LIMIT, OVER)
    assert hidden.ending.outcome is Outcome.RATE_LIMITED


def test_how_its_process_ended_goes_before_what_it_said():
    assert read(*BEGUN, LIMIT, code=1).ending.outcome is Outcome.FAILED
    assert read(*BEGUN, LIMIT, code=0, why="stopped").ending.outcome is Outcome.CANCELLED
    assert read("no events at all").ending.outcome is Outcome.COMPLETED
