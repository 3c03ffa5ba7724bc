"""What mini-swe-agent's own record says of a run that failed, printed by the preset's command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agents.jobs import Run, job_in, run
from muster.agents.command import CommandDriver
from muster.agents.mini import MiniReader
from muster.domain.agent import Outcome

NOW = 1_800_000_000.0
LIMIT = 'litellm.RateLimitError: "Rate limit" reached, try again in 7m.'


def recorded(kind: str, said: str) -> str:
    """A record as the program writes it."""
    extra = {"exit_status": kind, "submission": "", "exception_str": said, "traceback": "…"}
    info = {"exit_status": kind, "submission": ""}
    return json.dumps({"info": info, "messages": [{"role": "exit", "extra": extra}]}, indent=2)


def ran(folder: Path, script: str) -> Run:
    """A run of the preset with a program of its name that does this; OUT is where it records."""
    programs = folder / "bin"
    programs.mkdir()
    find = 'while [ "$1" != --output ]; do shift; done; OUT="$2"\n'
    (programs / "mini").write_text(f"#!/bin/sh\n{find}{script}\n")
    (programs / "mini").chmod(0o755)
    job = job_in(folder, environ={"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder)})
    return run(CommandDriver(), replace(job, options={"preset": "mini"}))


def records(kind: str, said: str, status: int) -> str:
    return f"cat > \"$OUT\" <<'E'\n{recorded(kind, said)}\nE\necho Exit; exit {status}"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("AuthenticationError", Outcome.AUTH),
        ("RateLimitError", Outcome.RATE_LIMITED),
        ("InternalServerError", Outcome.UNAVAILABLE),
        ("RuntimeError", Outcome.FAILED),
    ],
)
def test_an_error_of_the_service_is_known_by_the_programs_record(tmp_path, kind, outcome):
    done = ran(tmp_path, records(kind, "it said no", 1))
    assert (done.code, done.ending.outcome) == (1, outcome), done.out
    assert "it said no" in done.ending.reason


def test_a_run_that_ended_well_says_nothing_of_its_record(tmp_path):
    done = ran(tmp_path, records("Submitted", "", 0))
    assert done.ending.outcome is Outcome.COMPLETED
    assert done.out == b"Exit\n"


def test_a_run_without_a_record_failed(tmp_path):
    done = ran(tmp_path, "echo no such module; exit 3")
    assert (done.ending.outcome, done.code) == (Outcome.FAILED, 3)
    assert done.ending.reason.endswith("no such module")


@pytest.mark.parametrize("size", [1, 1000])
def test_when_the_limit_ends_is_taken_from_what_it_said(size):
    reader = MiniReader(lambda: NOW)
    lines = [f'  "exit_status": "RateLimitError",\n  "exception_str": {json.dumps(LIMIT)},\n']
    data = "".join(lines).encode()
    for n in range(0, len(data), size):
        reader.feed(data[n : n + size])
    ending = reader.end(1, "exit")
    assert (ending.outcome, ending.retry_at) == (Outcome.RATE_LIMITED, NOW + 420)


@pytest.mark.parametrize("said", [b"", b'"exit_status": "RateLimitError",\nlast words\n'])
def test_what_was_said_before_its_last_words_is_no_record(said):
    reader = MiniReader(lambda: NOW)
    reader.feed(said)
    assert reader.end(1, "exit").outcome is Outcome.FAILED
    assert reader.end(None, "killed").outcome is Outcome.CANCELLED
