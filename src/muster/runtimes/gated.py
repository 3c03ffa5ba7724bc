"""What keeps a program whose way out is a gate: allowed hosts by a proxy, and nothing beside it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import override

from muster.domain.redact import Redactor
from muster.runtimes.alarms import Alarms
from muster.runtimes.control import Loop
from muster.runtimes.doorway import open_inside
from muster.runtimes.egress import mirrored, rules
from muster.runtimes.gate import Gate
from muster.runtimes.proxy import Target
from muster.runtimes.refusals import Record
from muster.runtimes.shim import Cradle, Keeper, Order

PROXY = ("127.0.0.1", 3128)
"""Where a contained program finds its way out."""
_HERE = "localhost,127.0.0.1,::1"
_HERE_LIES = "."
"""A shim works in its run directory."""


def proxy_environment(port: int) -> dict[str, str]:
    """The variables by which programs know of the proxy."""
    url = f"http://{PROXY[0]}:{port}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    told = dict.fromkeys((*names, *(name.lower() for name in names)), url)
    return {**told, "NO_PROXY": _HERE, "no_proxy": _HERE, "NODE_USE_ENV_PROXY": "1"}


class Gated(Keeper):
    """A program in a network of its own, with a gate in it where it may go anywhere."""

    def __init__(self, order: Order, cradle: Cradle) -> None:
        super().__init__(order, cradle)
        self._cage = dict(order.cage or {})
        self._allowed = rules(self._cage["network"])
        self._gate: Gate | None = None
        self._alarms = Alarms(self._tell)
        self._port = PROXY[1]

    @override
    def environment(self) -> dict[str, str]:
        """That of the run, and where the proxy is."""
        way_out = proxy_environment(self._port) if self._allowed else {}
        return {**super().environment(), **way_out}

    def _open_gate(self, pid: int) -> str:
        """Open it in the network of a process, and hear of what is tried beside it.

        Why it could not be opened, or an empty string.
        """
        targets = (PROXY, *mirrored(self._allowed)) if self._allowed else ()
        try:
            doors, ears = open_inside(pid, targets)
        except OSError as error:
            if self._allowed:
                return f"its network could not be made: {error}"
            doors, ears = [], []
        self._alarms.of_network(pid, ears)
        if doors:
            self._serve(dict(zip(doors, (None, *targets[1:]), strict=True)))
        return ""

    def _serve(self, doors: Mapping[socket.socket, Target | None]) -> None:
        self._gate = Gate(doors, self._allowed, _HERE_LIES, self._safe)

    @property
    def _safe(self) -> Callable[[bytes], bytes]:
        return Redactor(self.order.secrets).whole

    def _tell(self, kind: str, what: str, count: int, why: str) -> None:
        record = Record(_HERE_LIES, self._safe)
        record.heard(kind, what, count, why)
        record.close()

    @override
    def launch(self) -> str:
        """Start the program; why it could not be, or an empty string."""
        if folder := self._cage["git"]:
            self._alarms.of_git(folder)
        return super().launch()

    @override
    def listen(self, loop: Loop) -> None:
        """Hear of what the program does beside the gate."""
        self._alarms.listen(loop)

    @override
    def report(self, report: dict[str, Any]) -> dict[str, Any]:
        """How the run ended; what it did beside the gate is written down by then."""
        self._alarms.close()
        return report

    @override
    def reaped(self, pid: int) -> None:
        """A dead gate is replaced."""
        if self._gate is not None:
            self._gate.reaped(pid)

    @override
    def close(self) -> None:
        """Close the gate."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.close()
