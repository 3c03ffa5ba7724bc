"""Jobs for tests, and a plain way to run what a driver says: no runtime, one process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.agents.base import Driver, Ending, Fact, Job, Launch
from muster.vault import environment

SECONDS = 240.0


def job_in(folder: Path, prompt: str = "Do it.", **changes: Any) -> Job:
    """A job with its own folders below `folder`; its prompt is written where the engine would."""
    paths = {name: folder / name for name in ("workspace", "home")}
    for path in (*paths.values(), folder / "home" / "tmp"):
        path.mkdir(parents=True, exist_ok=True)
    given = {
        "run_id": "coding-0000000a",
        "prompt": prompt,
        **paths,
        "prompt_file": folder / "home" / "prompt.md",
        "result_file": folder / "home" / "result.json",
        "environ": {"PATH": os.environ["PATH"], "HOME": str(folder / "person")},
        **changes,
    }
    job = Job(**given)
    job.prompt_file.write_text(job.prompt, errors="replace")
    return job


def environment_of(job: Job, launch: Launch) -> Mapping[str, str]:
    """The whole environment a run gets."""
    return environment(job.environ, job.home, launch.env)


def start(job: Job, launch: Launch) -> subprocess.Popen[bytes]:
    """Start a job's program; standard input is for the caller to feed."""
    return subprocess.Popen(
        launch.argv,
        cwd=job.workspace,
        env=dict(environment_of(job, launch)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@dataclass(frozen=True)
class Run:
    """A run that is over."""

    out: bytes
    err: bytes
    code: int
    facts: list[Fact]
    ending: Ending

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """What the facts of one kind say."""
        return [fact.data for fact in self.facts if fact.kind == kind]


def read(driver: Driver, job: Job, out: bytes, code: int | None, why: str = "exit") -> Run:
    """Let a fresh reader read a whole output."""
    reader = driver.reader(job)
    facts = list(reader.feed(out))
    return Run(out, b"", code or 0, facts, reader.end(code, why))


def run(driver: Driver, job: Job) -> Run:
    """Launch a job, wait for its end, and read what it said."""
    launch = driver.launch(job)
    with start(job, launch) as process:
        out, err = process.communicate(launch.stdin, SECONDS)
    reader = driver.reader(job)
    facts = list(reader.feed(out))
    return Run(out, err, process.returncode, facts, reader.end(process.returncode, "exit"))
