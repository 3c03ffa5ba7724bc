"""What the figures were measured on: processor, memory, kernel, Python, git, load."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


def facts() -> dict[str, str]:
    """Name and value of each fact that a figure may depend on."""
    return {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{_memory_gb():.0f} GB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
        "git": _git(),
        "a durable write of 4 kB": f"{durable_write_ms():.1f} ms (median of 50, temporary folder)",
    }


def load() -> str:
    """The load average now: over 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def durable_write_ms() -> float:
    """What the disk takes for one small write that survives a power failure."""
    spent = []
    with tempfile.TemporaryFile() as file:
        for _ in range(50):
            began = time.monotonic()
            os.write(file.fileno(), b"x" * 4096)
            os.fsync(file.fileno())
            spent.append(time.monotonic() - began)
    return statistics.median(spent) * 1000


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _git() -> str:
    done = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]
