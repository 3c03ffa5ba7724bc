"""What is measured for coverage: which of the programs that tests start, and how many examples.

Measuring costs a program a fifth of a second of processor time, and the tests start thousands:
servers, command lines, and a supervisor with its forks for each house. So only those are measured
that show lines which nobody else shows: all that these tests start, and the servers of others.

A measured line costs twice what it costs otherwise. So of a test with many examples only the first
are measured: what the others execute, they have executed. And all workers load all tests: one of
them is measured while it does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from coverage import Coverage

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
EXAMPLES = 20
"""How many examples of a property are measured."""
_TOLD = "COVERAGE_PROCESS_CONFIG"
_told: dict[str, str] = {}
_resting: list[Any] = []
_seen = 0


def choose(test: Path) -> None:
    """Have all programs measured that are started from now on, or only those that say so."""
    if _TOLD in os.environ:
        _told[_TOLD] = os.environ.pop(_TOLD)
    if str(test).removeprefix(f"{TESTS}/").startswith(MEASURED):
        os.environ.update(_told)


def measured() -> dict[str, str]:
    """What to add to the environment of a program that is to be measured in any test."""
    return dict(_told)


def counted(test: Callable[..., Any]) -> Callable[..., Any]:
    """What a property runs for each example, which counts it."""
    if iscoroutinefunction(test) or hasattr(test, "is_counted"):
        return test

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> Any:
        example()
        return test(*args, **kwargs)

    run.is_counted = True  # type: ignore[attr-defined]
    return run


def example() -> None:
    """An example begins; after the first ones this process is not measured until its test ends."""
    global _seen  # noqa: PLW0603 - one process runs one test at a time
    _seen += 1
    if _seen == EXAMPLES:
        rest()


def rest() -> None:
    """Measure this process no more until it goes on."""
    if not _resting and (running := Coverage.current()):
        # Its own `stop` and `start` would also have every program measured that is started later.
        collector: Any = running._collector
        collector.stop()
        _resting.append(collector)


def is_first() -> bool:
    """Whether what all workers do alike is measured here: in the first, or in the only process."""
    return os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"


def go_on() -> None:
    """Measure again."""
    global _seen  # noqa: PLW0603 - as above
    _seen = 0
    while _resting:
        _resting.pop().start()
