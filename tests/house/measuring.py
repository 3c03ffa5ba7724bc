"""Which of the programs that tests start are measured for coverage, as the tests' own process is.

Measuring costs a program a fifth of a second of processor time, and the tests start thousands:
servers, command lines, and a supervisor with its forks for each house. So only those are measured
that show lines which nobody else shows: all that these tests start, and the servers of others.
"""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
MEASURED = (
    "cli/",
    "client/",
    "hostile/test_containment_docker.py",
    "runtimes/test_egress.py",
    "runtimes/test_landlock.py",
    "runtimes/test_process.py",
    "runtimes/test_sandbox.py",
    "runtimes/test_surroundings.py",
    "terminals/test_attach.py",
)
"""Files and folders of tests; the supervisor's forks are shown in one place of each kind."""
_TOLD = "COVERAGE_PROCESS_CONFIG"
_told: dict[str, str] = {}


def choose(test: Path) -> None:
    """Have all programs measured that are started from now on, or only those that say so."""
    if _TOLD in os.environ:
        _told[_TOLD] = os.environ.pop(_TOLD)
    if str(test).removeprefix(f"{TESTS}/").startswith(MEASURED):
        os.environ.update(_told)


def measured() -> dict[str, str]:
    """What to add to the environment of a program that is to be measured in any test."""
    return dict(_told)
