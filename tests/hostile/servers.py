"""A real server of its own process, and the real command line, as a person would run them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from house.databases import put_database
from house.measuring import measured
from muster.client import Muster

PATIENCE = 90.0
ALONE = frozenset({"doctor", "host", "image", "plugin", "up"})
"""Commands that do their work themselves; the others ask a server, as tests/cli shows."""

NO_PROGRAMS = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
"""An environment without the agents' programs, which take their time to tell a version."""


class Done(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it said with --json."""
        return json.loads(self.out)


def surroundings(env: Mapping[str, str | None]) -> dict[str, str]:
    """The environment of this process, changed; what is None is taken out."""
    left = {k: v for k, v in os.environ.items() if k not in {"MUSTER_HOME", *env}}
    return left | {k: v for k, v in env.items() if v is not None}


def muster(
    home: Path,
    *args: str,
    cwd: Path | None = None,
    env: Mapping[str, str | None] = {},
    patience: float = PATIENCE,
) -> Done:
    """Run one command line to its end; it may fail, but never with a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "muster", "--home", str(home), *args],
        cwd=cwd,
        env=surroundings(env) | (measured() if args[0] in ALONE else {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def until(home: Path, look: Callable[[Muster], Any], patience: float = PATIENCE) -> Any:
    """What one finds who looks at the server of a home until there is something.

    A command line for each look would take longer than most of what is waited for.
    """
    deadline = time.monotonic() + patience
    with Muster.from_home(home) as client:
        while not (found := look(client)):
            assert time.monotonic() < deadline, client.list_agents()
            time.sleep(0.05)
    return found


@contextmanager
def served(home: Path, env: Mapping[str, str | None] = {}) -> Iterator[Path]:
    """A server of this home; its log, which never holds a traceback."""
    up = muster(home, "up", "--detach", "--port", "0", "--json", env=env)
    assert up.code == 0, up.err
    log = Path(up.json["log"])
    try:
        yield log
        told = log.read_text()
        assert "Traceback" not in told, told[-6000:]
    finally:
        down = muster(home, "down")
        assert down.code == 0, down.err


def settings(home: Path, text: str, evidence: str | None = "none") -> None:
    """Write the home's own settings, beside an empty database.

    No stage of evidence runs, as it costs most of a task's time: `evidence=None` is the default.
    """
    home.mkdir(parents=True, exist_ok=True)
    asyncio.run(put_database(home))
    stages = "" if evidence is None else f'evidence = "{evidence}"\n'
    (home / "config.toml").write_text(stages + text)
