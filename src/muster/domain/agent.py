"""An agent: one spawned program working on one attempt of one task, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from muster.domain.permission import Permissions


class Role(StrEnum):
    """What an agent is there for."""

    STARTER = "starter"
    CODING = "coding"
    REVIEWER = "reviewer"
    DEPLOYER = "deployer"
    VERIFIER = "verifier"
    AUDITOR = "auditor"
    MANAGER = "manager"


class AgentStatus(StrEnum):
    """The public state of an agent."""

    STARTING = "starting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    KILLED = "killed"


LIVE = frozenset({AgentStatus.STARTING, AgentStatus.RUNNING})


class Outcome(StrEnum):
    """How a run ended, in one word for all agent programs.

    `completed` only says that the program claims success; whether the work passes is a verdict.
    `unavailable`: the model's service failed, which is no fault of the work or of the program.
    """

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    AUTH = "auth"
    BUDGET = "budget"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    REFUSED = "refused"
    LOST = "lost"
    HELD = "held"


STATUS_AFTER: dict[Outcome, AgentStatus] = {
    Outcome.COMPLETED: AgentStatus.COMPLETED,
    Outcome.FAILED: AgentStatus.FAILED,
    Outcome.CANCELLED: AgentStatus.KILLED,
    Outcome.RATE_LIMITED: AgentStatus.FAILED,
    Outcome.UNAVAILABLE: AgentStatus.FAILED,
    Outcome.AUTH: AgentStatus.FAILED,
    Outcome.BUDGET: AgentStatus.KILLED,
    Outcome.TIMEOUT: AgentStatus.TIMEOUT,
    Outcome.CRASHED: AgentStatus.FAILED,
    Outcome.REFUSED: AgentStatus.FAILED,
    Outcome.LOST: AgentStatus.FAILED,
    Outcome.HELD: AgentStatus.KILLED,
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run consumed so far; costs in US dollars, tokens as the provider counts them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """The sum of two measurements."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, slots=True)
class Agent:
    """One attempt's program as the store holds it; `id` is also the run's id.

    Times are epoch milliseconds; `cpu_seconds` and `max_rss_bytes` are of the whole process tree.
    `result` is what the agent itself handed in through its tools. `permissions` says who answers
    it when it asks. `hears`: whether it can be told something; None for a program that is only
    given its prompt.
    """

    id: str
    task_id: str
    project_id: str
    attempt: int
    role: Role
    driver: str
    runtime: str
    status: AgentStatus
    rev: int
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    outcome: Outcome | None = None
    reason: str = ""
    exit_code: int | None = None
    usage: Usage = Usage()
    cpu_seconds: float = 0.0
    max_rss_bytes: int = 0
    session_id: str | None = None
    workspace: str | None = None
    last_line: str = ""
    result: Mapping[str, Any] | None = None
    permissions: Permissions = Permissions.BYPASS
    hears: bool | None = None
