"""The demo's sample: a small repository with failing tests, and recorded work on it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

from muster.cli.child import run
from muster.domain.errors import Refused

HERE = Path(__file__).parent
TEST_COMMAND = f"'{sys.executable}' -m tests"


class Piece(NamedTuple):
    """One task of the demo: its words, what kind it is, who plays it, and what it waits for."""

    text: str
    type: str
    cassette: str
    after: int | None = None


PIECES = (
    Piece("Show cents with two digits: 12.05 must not become 12.5", "bug", "two-digits"),
    Piece("Of every three items the cheapest is free, not the dearest", "bug", "cheapest-free"),
    Piece("Nobody may take more from the shelf than there is", "bug", "never-below-zero"),
    Piece("Print a receipt with one line for each item and the total", "feature", "receipt", 0),
)
REFUSED_FIRST = 1
"""Which of the pieces is wrong at its first attempt."""


def make_repository(folder: Path) -> None:
    """Write the sample and commit it on `main`.

    Raises:
        Refused: git is missing or refuses.
    """
    for source in sorted((HERE / "repo").rglob("*")):
        if source.is_file():
            target = folder / str(source.relative_to(HERE / "repo")).removesuffix(".txt")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    env = _environment(folder)
    git = ("git", "-C", str(folder))
    commit = ("-c", "user.name=you", "-c", "user.email=you@localhost", "commit", "-qm", "A till")
    for args in (("init", "-q", "-b", "main"), ("add", "."), commit):
        try:
            status = run((*git, *args), env)
        except FileNotFoundError as error:
            raise Refused("git is not installed", hint="install git 2.38 or newer") from error
        if status:
            raise Refused(f"git {args[0]} ended with {status}", hint="needs git 2.38 or newer")


def write_config(home: Path) -> None:
    """An own agent for each piece, all of them players of recorded work."""
    lines = [
        "disk_floor_mb = 200",
        'autonomy = "full"',
        f"test_command = {json.dumps(TEST_COMMAND)}",
    ]
    for piece in PIECES:
        cassette = json.dumps(str(HERE / f"{piece.cassette}.jsonl"))
        lines += [f"[agents.{piece.cassette}]", 'driver = "rehearsal"', f"cassette = {cassette}"]
    (home / "config.toml").write_text("\n".join(lines) + "\n")


def tests_pass(folder: Path) -> bool:
    """Whether the tests of the sample pass as its checkout is now."""
    argv = (sys.executable, "-P", "-B", "-c", f"import os, runpy, sys; os.chdir({str(folder)!r}); "
            "sys.path.insert(0, '.'); runpy.run_module('tests', run_name='__main__')")  # fmt: skip
    return run(argv, _environment(folder)) == 0


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
    }
