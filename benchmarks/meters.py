"""Meters for processes: processor time and memory, as the kernel counts them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_MB = 1_000_000


@dataclass(frozen=True)
class Spent:
    """What one ended child took."""

    cpu_seconds: float
    wall_seconds: float
    code: int


def warm_environment() -> dict[str, str]:
    """This process's environment, but with byte code kept and nothing of a caller's Python."""
    dropped = ("PYTHON", "COVERAGE_", "MUSTER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def run_child(argv: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> Spent:
    """Run a program to its end, its output dropped; user and system time are the child's own."""
    began = time.monotonic()
    child = subprocess.Popen(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    return Spent(used.ru_utime + used.ru_stime, wall, child.returncode)


def cpu_seconds(pid: int) -> float:
    """User and system time of a live process and of its children that have ended."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a live process in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / _MB
    return 0.0


def children(pid: int) -> list[int]:
    """Live processes whose parent is this one."""
    return [int(word) for task in Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()]  # fmt: skip
