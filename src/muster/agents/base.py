"""What every driver of an agent program must be able to say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from muster.domain.agent import Outcome, Usage


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a program can do; the engine asks for nothing else.

    `two_way`: it can be spoken with while it runs, its reader is then a `Session`. `turns`: it
    takes another turn when one is over. `steer`: it takes a word in the middle of a turn. `fork`:
    it can go on from a session and leave that as it was. `permissions`: it can be made to ask
    first. `edited`: an allowed call may be changed by who allows it.
    """

    structured: bool = False
    two_way: bool = False
    turns: bool = False
    steer: bool = False
    interrupt: bool = False
    resume: bool = False
    fork: bool = False
    permissions: bool = False
    edited: bool = False
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
    None says that it is not known. `fork` leaves the session to resume as it was. `moved` names
    what is not where it was when that session was begun ("workspace", "home"); where the program
    cannot find it any more, a new one is begun. `two_way`: the engine will speak with the program,
    if its driver can. `ask`: it asks before what may do harm, if it can; else it does all that its
    place lets it. `mcp_url` is where muster's own MCP server
    answers, empty where the run cannot reach it. It opens to the token in the run's variable
    MUSTER_TOKEN: a configuration names the variable. Who can only be told it by its value finds it
    in `mcp_token`. `hooks_url` answers hooks, to the same token. `contained`: the program sees
    nothing of the person's home, so that a sign-in there has to be lent to it (`Launch.logins`).
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
    fork: bool = False
    moved: tuple[str, ...] = ()
    two_way: bool = False
    ask: bool = False
    contained: bool = False
    attempt: int = 1
    mcp_url: str = ""
    hooks_url: str = ""
    mcp_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Launch:
    """The command that does a job.

    `env` is added to the constructed base environment; `secrets` are the values in it that must
    be redacted from every output; `files` are written (mode 0600) before the start. `interactive`
    keeps standard input open; `stdin` is then what the run's `Session` opens with.

    The rest is for a place that contains the program. `network` is whom it asks, as rules of
    `muster.runtimes.egress`. `readable` are files it needs besides itself; of a program among them
    also what that stands on. `logins` are the files of the person's sign-in by the paths below
    `home` where it will look for them; one that is not there is left out.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    interactive: bool = False
    files: Mapping[Path, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    logins: Mapping[Path, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the program reported.

    `kind` is one of: session, text, thought, plan, tool_started, tool_finished, file, permission,
    usage, rate_limit, retry, error, finished, raw. `data` is small and JSON-like: `text` {text};
    `plan` {steps: [{text, status}]}; `tool_started` {tool, id, summary, subject}, the last word for
    word what it is used on, empty when that is too long; `tool_finished` {tool, id, ok, summary};
    `file` {path, action}; `usage` {input_tokens, output_tokens, cost_usd} as totals
    of the run so far; `rate_limit` {retry_at}; `retry` {text, status, delay_seconds}, when the
    service failed and is asked again; `session` {session_id, model}. `permission` {id,
    tool, summary, input, subject, options} waits for `Session.answer`: `input` is shortened for
    the view, `subject` is what rules judge (a command, a path), None when that is too long;
    `options` are some of allow, allow_session, edit, deny.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the program's own account ends; `retry_at` is epoch seconds when a limit was met."""

    outcome: Outcome
    reason: str
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person or a rule says to a request for permission.

    `edited` replaces the inputs that it names; `message` is told to the agent when it is denied.
    """

    allow: bool
    for_session: bool = False
    edited: Mapping[str, Any] | None = None
    message: str = ""


class Reader(Protocol):
    """Turns one run's standard output into facts; fed from byte 0, in pieces of any size."""

    def feed(self, data: bytes) -> Sequence[Fact]:
        """Facts completed by these bytes; never raises, whatever the bytes are."""
        ...

    def end(self, code: int | None, why: str) -> Ending:
        """The outcome, from the program's own terminal event and how the process ended.

        `why` is a value of `muster.runtimes.base.Why`, or "closed" (see `Session.finished`).
        """
        ...


@runtime_checkable
class Session(Reader, Protocol):
    """A reader that also says what is to be written to the program; it does no I/O itself.

    Whatever it returns must be written, in this order, and recorded. After a restart of muster a
    fresh session is fed the whole output and told by `sent` the whole input that was recorded, in
    either order; it is then where the old one was, and `replies` holds only what is outstanding.
    """

    def opening(self) -> bytes:
        """What is written first; the same each time, and what `Launch.stdin` holds."""
        ...

    def replies(self) -> bytes:
        """What is due now, after feeding; nothing is due twice."""
        ...

    def sent(self, data: bytes) -> None:
        """Hear what had been written before a restart, with or without the opening."""
        ...

    @property
    def waiting(self) -> Sequence[str]:
        """The ids of the permissions that are asked for and not answered."""
        ...

    def answer(self, request_id: str, answer: Answer) -> bytes:
        """The answer to a request for permission.

        Raises:
            Conflict: nothing of this id waits for an answer; it may have been answered.
            Invalid: this program cannot be answered that way.
        """
        ...

    @property
    def words(self) -> int:
        """How many words it was told by `say`, before a restart too."""
        ...

    def say(self, text: str) -> bytes:
        """A word into the running turn, or the next turn.

        Raises:
            Conflict: the program cannot hear it now.
        """
        ...

    def interrupt(self) -> bytes:
        """Ask for the end of the running turn; nothing when none runs."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the program said that its last turn is over, well or not.

        Unless there is more to say, its standard input is closed then. A program that does not
        end by that is ended, and its ending asked for with `why` "closed".
        """
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """Whether a program is here and signed in, for `muster doctor`.

    `tested` is the version that its driver was measured with, `install` how to get a newer one.
    """

    path: str | None
    version: str = ""
    signed_in: bool | None = None
    hint: str = ""
    tested: str = ""
    install: str = ""

    def too_old(self) -> str:
        """That it is older than what was tested, in words; empty when it is not, or unknown."""
        if not self.version or not _numbers(self.version) < _numbers(self.tested):
            return ""
        return f"{self.version} is older than {self.tested}, which muster was tested with"


def _numbers(version: str) -> tuple[int, ...]:
    """The version up to its second dot: what comes after it seldom breaks anything."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


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
        """A fresh reader for one run; a `Session` where its launch is interactive."""
        ...
