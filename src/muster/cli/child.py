"""A program of our own choosing, run to its end: for the demo's sample, never for an agent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a program with its output thrown away; its exit status."""
    silence = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    pid = os.posix_spawnp(argv[0], list(argv), dict(env), file_actions=silence)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
