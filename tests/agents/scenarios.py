"""What the scripted model answers in each scenario, and what is expected of the run."""

from __future__ import annotations

from dataclasses import dataclass

from model_server.scripts import Step
from muster.domain.agent import Outcome

MODEL = "claude-sonnet-4-5"
START = {"sums.py": "def add(a, b):\n    return a - b\n"}
RESETS_AT = 1795300000


@dataclass(frozen=True)
class Scenario:
    """One conversation with the model, and how it ends."""

    steps: list[Step]
    outcome: Outcome
    reason: str
    credential: str = "ANTHROPIC_API_KEY"
    budget_usd: float | None = None
    interrupted: bool = False
    retry_at: float | None = None


SCENARIOS = {
    "edit": Scenario(
        [
            {
                "text": "The sign is wrong.",
                "tools": [{"tool": "read", "path": "sums.py"}],
                "usage": {"input_tokens": 1000, "output_tokens": 40},
            },
            {
                "tools": [
                    {"tool": "edit", "path": "sums.py", "old": "a - b", "new": "a + b"},
                    {"tool": "write", "path": "NOTES.md", "content": "add adds.\n"},
                    {"tool": "bash", "command": "cat NOTES.md; exit 3"},
                ],
                "usage": {"input_tokens": 1100, "output_tokens": 60},
            },
            {"text": "add adds now.", "usage": {"input_tokens": 1200, "output_tokens": 10}},
        ],
        Outcome.COMPLETED,
        "add adds now.",
    ),
    "unauthorised": Scenario([{"status": 401}], Outcome.AUTH, "401"),
    "forbidden": Scenario([{"status": 403}], Outcome.AUTH, "403"),
    "no-credit": Scenario(
        [{"status": 400, "message": "Your credit balance is too low to access the Anthropic API."}],
        Outcome.AUTH,
        "Credit balance",
    ),
    "rate-limit": Scenario([{"status": 429}], Outcome.RATE_LIMITED, "429"),
    "usage-limit": Scenario(
        [
            {
                "status": 429,
                "headers": {
                    "anthropic-ratelimit-unified-status": "rejected",
                    "anthropic-ratelimit-unified-reset": RESETS_AT,
                    "anthropic-ratelimit-unified-representative-claim": "five_hour",
                },
            }
        ],
        Outcome.RATE_LIMITED,
        "5-hour limit",
        credential="CLAUDE_CODE_OAUTH_TOKEN",
        retry_at=float(RESETS_AT),
    ),
    "overloaded": Scenario([{"status": 529}], Outcome.RATE_LIMITED, "529"),
    "broken-service": Scenario([{"status": 500}], Outcome.UNAVAILABLE, "500"),
    "refusal": Scenario(
        [{"text": "I will not.", "stop_reason": "refusal"}] * 2, Outcome.REFUSED, "can't help"
    ),
    "budget": Scenario(
        [{"text": "Long.", "usage": {"input_tokens": 100_000, "output_tokens": 50_000}}],
        Outcome.BUDGET,
        "budget",
        budget_usd=0.5,
    ),
    "interrupted": Scenario(
        [{"text": "Too late.", "delay": 120}],
        Outcome.CRASHED,
        "",  # sometimes it still says that it was interrupted, sometimes nothing
        interrupted=True,
    ),
}
