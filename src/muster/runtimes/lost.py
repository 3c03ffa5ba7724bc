"""The end of a run whose shim was killed: what it left is killed, and that is written down."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import asdict
from pathlib import Path

from muster.runtimes import cgroups, leftovers
from muster.runtimes.base import Exit, Why
from muster.runtimes.layout import CTL, LOCK, SHIM, read_json, write_exit
from muster.runtimes.leftovers import Traces
from muster.runtimes.rundir import RunDir


def settle(folder: Path) -> Exit | None:
    """How the run ended; None while its shim lives or another does what is done here.

    A run without a shim and without an exit is lost: every process of it is killed first.
    """
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return RunDir(folder).exit() or _bury(folder)
    except BlockingIOError:
        return None
    finally:
        os.close(fd)


def _bury(folder: Path) -> Exit:
    traces = Traces.read(str(folder))
    left, gone, used = 0, True, 0.0
    if traces is not None:
        left, gone = leftovers.clear(traces)
        used = cgroups.cpu_seconds(traces.box)
        cgroups.close_box(traces.box)
    (folder / CTL).unlink(missing_ok=True)
    record = RunDir(folder)
    said = read_json(str(folder / SHIM)) or {}
    lost = Exit(
        code=None,
        why=Why.LOST,
        left=left,
        started_at=float(said.get("started_at", 0.0)),
        ended_at=time.time(),
        cpu_seconds=used,
        out_bytes=record.size("out"),
        err_bytes=record.size("err"),
        detail="its supervisor was killed" + ("" if gone else "; a process could not be killed"),
    )
    write_exit(str(folder), asdict(lost))
    return lost
