"""What the server itself takes of the machine, by the names that Prometheus knows for a process."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_OF_US = Path("/proc/self")


class Figure(NamedTuple):
    """One figure of a process; `kind` is Prometheus's."""

    name: str
    kind: str
    about: str
    value: float


def figures_of_process() -> list[Figure]:
    """What is known of this process now; nothing of what this machine does not tell."""
    return list(_read(_OF_US))


def _read(proc: Path) -> Iterator[Figure]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield Figure(
        "process_cpu_seconds_total",
        "counter",
        "Processor time that the server used.",
        round(used.ru_utime + used.ru_stime, 2),
    )
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Figure("process_max_fds", "gauge", "How many files it may have open.", most)
    if not proc.is_dir():
        return
    sizes = [int(n) * os.sysconf("SC_PAGE_SIZE") for n in (proc / "statm").read_text().split()]
    yield Figure("process_virtual_memory_bytes", "gauge", "Addresses that it has.", sizes[0])
    yield Figure("process_resident_memory_bytes", "gauge", "Memory that it takes.", sizes[1])
    opened = sum(1 for _ in (proc / "fd").iterdir())
    yield Figure("process_open_fds", "gauge", "How many files it has open.", opened)
