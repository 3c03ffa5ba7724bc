"""What every driver of an agent program must be able to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from muster.domain.agent import Outcome, Usage


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a program can do; the engine asks for nothing else."""

    structured: bool = False
    two_way: bool = False
    resume: bool = False
    reports_usage: bool = False
    reports_cost: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """What the engine wants done, and the paths it prepared for it.

    `home` is private to the agent and outside the workspace; `prompt_file` holds `prompt`;
    `result_file` is where a structured result may appear. `options` come from `[agents.NAME]`.
    `environ` is the environment of the server, from which a driver may pick by name. `attempt`
    counts from 1. `resume_usage` is what the session to resume had used up before, all its runs
    together: some programs report totals of the session, and a run is only charged its own part.
    None says that it is not known.
    """

    run_id: str
    prompt: str
    workspace: Path
    home: Path
    prompt_file: Path
    result_file: Path
    environ: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    budget_usd: float | None = None
    resume_session: str | None = None
    resume_usage: Usage | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Launch:
    """The command that does a job.

    `env` is added to the constructed base environment; `secrets` are the values in it that must
    be redacted from every output; `files` are written (mode 0600) before the start.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    interactive: bool = False
    files: Mapping[Path, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the program reported.

    `kind` is one of: session, text, thought, tool_started, tool_finished, file, usage, rate_limit,
    retry, error, finished, raw. `data` is small and JSON-like: `text` {text}; `tool_started`
    {tool, id, summary}; `file` {path, action}; `usage` {input_tokens, output_tokens, cost_usd} as
    totals of the run so far; `rate_limit` {retry_at}; `session` {session_id, model}.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the program's own account ends; `retry_at` is epoch seconds when a limit was met."""

    outcome: Outcome
    reason: str
    retry_at: float | None = None


class Reader(Protocol):
    """Turns one run's standard output into facts; fed from byte 0, in pieces of any size."""

    def feed(self, data: bytes) -> Sequence[Fact]:
        """Facts completed by these bytes; never raises, whatever the bytes are."""
        ...

    def end(self, code: int | None, why: str) -> Ending:
        """The outcome, from the program's own terminal event and how the process ended.

        `why` is a value of `muster.runtimes.base.Why`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """Whether a program is here and signed in, for `muster doctor`."""

    path: str | None
    version: str = ""
    signed_in: bool | None = None
    hint: str = ""


class Driver(Protocol):
    """How to drive one kind of agent program."""

    name: str
    capabilities: Capabilities

    def find(self, environ: Mapping[str, str]) -> Found:
        """Look for the program; may run it for its version (at most 5 s)."""
        ...

    def launch(self, job: Job) -> Launch:
        """The command for a job.

        Raises:
            Invalid: an option is missing or wrong; the message names it.
            Refused: the program is not on this machine; the hint says how to get it.
        """
        ...

    def reader(self, job: Job) -> Reader:
        """A fresh reader for one run."""
        ...
