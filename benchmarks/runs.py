"""The figures of `output.py`: what supervision of a run costs, beside the plain thing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Broken, Figure, Plan
from benchmarks.meters import warm_environment

_OUTPUT = Path(__file__).with_name("output.py")
_MIDDLE = r".*?p50 +([\d.]+)"
# A line of its report, the name and the unit of the figure that stands there.
_FIGURES = (
    (r"redaction, \d+ secrets: (\d+) MB/s", "redaction of output", "MB/s"),
    (r"output: (\d+) MB/s", "output of a run to its record", "MB/s"),
    (r"`cat \| cat` (\d+) MB/s", "the same through a plain pipe to a file", "MB/s"),
    (r"`cat \| cat` \d+ MB/s; ratio ([\d.]+)", "output: supervised to plain", "times"),
    (rf"\n  start {_MIDDLE}", "start of a program under its shim", "ms"),
    (rf"\n  plain subprocess.Popen{_MIDDLE}", "start of a plain child process", "ms"),
    (r"ratio of the medians ([\d.]+)", "start: under a shim to plain", "times"),
    (rf"\n  from [^\n]*to known{_MIDDLE}", "a program's end, recorded durably, to known", "ms"),
    (r"memory of a shim's own: ([\d.]+) MB", "memory of a shim's own", "MB"),
    (rf"\n  kill and wait{_MIDDLE}", "a tree of eleven killed, until nothing is left", "ms"),
    (rf"\n  there and back{_MIDDLE}", "input to a run, to the follower of its output", "ms"),
)


def measure(plan: Plan) -> list[Figure]:
    """Run it once, as it takes its own repetitions and medians, and read its report."""
    size, starts = plan.of(200, 2), plan.of(4 * plan.rounds, 3)
    argv = [sys.executable, "-m", "benchmarks.output"]
    done = subprocess.run(
        [*argv, "--megabytes", str(size), "--starts", str(starts)],
        cwd=_OUTPUT.parents[1],
        env=warm_environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise Broken(f"{_OUTPUT.name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return [Figure(name, _value(pattern, done.stdout), unit) for pattern, name, unit in _FIGURES]


def _value(pattern: str, report: str) -> float:
    found = re.search(pattern, report)
    if found is None:
        raise Broken(f"{_OUTPUT.name} has no line like {pattern!r} any more:\n{report}")
    return float(found[1])
