"""Plain processes of this machine and user: nothing is contained but by the limits of a run."""

from __future__ import annotations

from muster.runtimes.supervised import Supervised, why_no_shims


class ProcessRuntime(Supervised):
    """Runs programs as plain processes of this machine and user."""

    name = "process"

    def available(self) -> str:
        """An empty string when this place can be used here, else the reason why not."""
        return why_no_shims()

    def describe(self) -> str:
        """How far a program is contained here."""
        return "not contained: it can read, write and reach what the user of the server can"
