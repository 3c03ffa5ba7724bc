"""The driver that plays a recorded run instead of asking a model.

Facts: the player is a child program of this Python (`replay.py`), so that a rehearsal runs in its
place like any other agent: with its limits, its log, its stop and its kill. A cassette is named by
`cassette` in `[agents.NAME]`; it may hold a take for each attempt, or `cassettes` names a file for
each. `speed` makes it faster (0: no waiting), `dialect` says how the output reads when the cassette
does not say it itself. A recorded conversation is read, and nothing is said in it. Nothing is
signed in, nothing is spent: what a recording says of cost is what the recorded run cost.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import muster
from muster.agents import acp_session, codex_session, options
from muster.agents.acp_session import AcpSession
from muster.agents.base import Capabilities, Ending, Fact, Found, Job, Launch, Reader, Session
from muster.agents.cassette import DIALECTS, Cassette, read
from muster.agents.codex_session import CodexSession
from muster.agents.plain_text import PlainTextReader
from muster.agents.replay import BROKEN
from muster.agents.stream_json import StreamJsonReader
from muster.domain.errors import Invalid

_KNOWN = frozenset({"cassette", "cassettes", "speed", "dialect"})
_FASTEST = 1000.0


class RehearsalDriver:
    """Drives the player of cassettes."""

    name = "rehearsal"
    capabilities = Capabilities()

    def find(self, environ: Mapping[str, str]) -> Found:  # noqa: ARG002 - it is this Python itself
        """Always here: it needs nothing but this Python."""
        return Found(sys.executable, sys.version.split()[0], hint="needs a cassette, and no model")

    def launch(self, job: Job) -> Launch:
        """The player with the take of this attempt."""
        options.refuse_unknown(job.options, _KNOWN)
        path, take = _chosen(job)
        cassette = read(path)
        _dialect(job, cassette)
        speed = options.number(job.options, "speed", 1.0, 0.0, _FASTEST)
        argv = ("-I", "-B", "-m", "muster.agents.replay", str(path))
        rest = ("--take", str(min(take, len(cassette.takes))), "--speed", f"{speed:g}")
        return Launch(
            argv=(sys.executable, *argv, *rest),
            env={"PWD": str(job.workspace)},
            readable=(str(path), str(Path(muster.__file__).parents[1])),
        )

    def reader(self, job: Job) -> Reader:
        """The reader of the dialect that was recorded."""
        place = str(job.workspace)
        match _dialect(job, read(_chosen(job)[0])):
            case "claude":
                return StreamJsonReader(place)
            case "codex":
                return Overheard(CodexSession(codex_session.Start("", place, "thread/start", {})))
            case "acp":
                return Overheard(AcpSession(acp_session.Start("", place)))
            case _:
                return PlainTextReader()


class Overheard:
    """What was said in a conversation, read by one who says nothing; nobody is asked anything."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def feed(self, data: bytes) -> Sequence[Fact]:
        """Facts completed by these bytes, but for requests, which were answered then."""
        return [fact for fact in self._session.feed(data) if fact.kind != "permission"]

    def end(self, code: int | None, why: str) -> Ending:
        """The outcome as it was told then; such a program may have been ended when it was done."""
        done = why == "exit" and code not in {None, BROKEN} and self._session.finished
        return self._session.end(code, "closed" if done else why)


def _chosen(job: Job) -> tuple[Path, int]:
    """The file for this attempt, and the take within it."""
    several = options.words(job.options, "cassettes")
    one = options.text(job.options, "cassette")
    if bool(several) == bool(one):
        raise Invalid(
            "a rehearsal needs a cassette (or cassettes, one for each attempt)",
            hint='for example [agents.NAME] cassette = "~/demo.jsonl"; see muster record',
        )
    if one:
        return _whole_path(one, job.environ), job.attempt
    number = min(max(job.attempt, 1), len(several))
    return _whole_path(several[number - 1], job.environ), 1


def _whole_path(name: str, environ: Mapping[str, str]) -> Path:
    """Where a cassette lies: as given, below HOME after `~/`, else below muster's own home."""
    base = "HOME" if name.startswith("~/") else "MUSTER_HOME"
    path = Path(environ.get(base) or "", name.removeprefix("~/"))
    if not path.is_absolute():
        raise Invalid(f"the cassette '{name}' is not a whole path", hint="begin it with / or ~/")
    return path


def _dialect(job: Job, cassette: Cassette) -> str:
    if "dialect" in job.options:
        return options.choice(job.options, "dialect", *DIALECTS)
    return cassette.dialect
