"""What a shim does to have a container run its program: a keeper at its door, and a gate."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from muster.runtimes import doorkeeper, leftovers, zygote
from muster.runtimes.child import Command
from muster.runtimes.gated import Gated
from muster.runtimes.layout import PLACE, read_json
from muster.runtimes.shim import Cradle, Order

_MEMORY_CODES = (-signal.SIGKILL, 128 + signal.SIGKILL)


def dress(cage: Mapping[str, Any], command: Command, told: int, said: int) -> Command:
    """Stand for the program, which runs in the container; this process ends as it does."""
    del told
    _, argv, env = command
    order = {
        "argv": argv,
        "cwd": cage["cwd"],
        "env": env,
        "file_bytes": resource.getrlimit(resource.RLIMIT_FSIZE)[0],
        "decoys": cage["decoys"],
    }
    doorkeeper.keep(cage["folder"], cage["door"], order, said)


class Contained(Gated):
    """A program inside a container that waits at the door."""

    dress = staticmethod(dress)

    def __init__(self, order: Order, cradle: Cradle) -> None:
        super().__init__(order, cradle)
        self._used = 0.0

    @override
    def cage(self) -> Mapping[str, Any]:
        """Where the door is."""
        return self._cage

    @override
    def launch(self) -> str:
        """Start the program; why it could not be, or an empty string."""
        if problem := self._way_out():
            os.kill(self.embryo.pid, signal.SIGKILL)
            return problem
        return super().launch()

    def _way_out(self) -> str:
        if self.order.trees:
            return self._open_gate(self.order.trees[0][0])
        unseen = "its network could not be made: the engine's containers are not seen from here"
        return unseen if self._allowed else ""

    @override
    def report(self, report: dict[str, Any]) -> dict[str, Any]:
        """How the run ended, with what the container told, or that it did not."""
        super().report(report)
        told = read_json(f"{self._cage['folder']}/{PLACE}") or {}
        if report["why"] == "exit" and "why" in told:
            report |= {"why": told["why"], "code": None}
        kills = int(told.get("memory_kills", 0))
        if report["why"] == "exit" and kills and report["code"] in _MEMORY_CODES:
            report["why"] = "memory"
        notes = [
            report["detail"],
            told.get("detail", ""),
            f"processes killed for want of memory: {kills}" if kills else "",
        ]
        report["detail"] = "; ".join(filter(None, notes))
        there = {"memory": kills, "processes": int(told.get("process_refusals", 0))}
        reached = [*report["limits"], *(name for name, times in there.items() if times)]
        report["limits"] = list(dict.fromkeys(reached))
        report["left"] += told.get("left", 0)
        report["cpu_seconds"] += told.get("cpu_seconds", self._used)
        report["max_rss_bytes"] = max(report["max_rss_bytes"], told.get("max_rss_bytes", 0))
        return report

    @override
    def close(self) -> None:
        """Close the gate; note what was used, which a container that is killed cannot tell."""
        self._used = self._used or leftovers.cpu_seconds_elsewhere(self.cradle.traces)
        super().close()


def serve(socket_fd: int, *, nested: bool) -> None:
    """Be the mother of shims that have containers run their programs."""
    zygote.serve(socket_fd, nested=nested, keeper=Contained)
