"""Processes of this machine, each run under a shim of its own that outlives the server."""

from __future__ import annotations

from muster.runtimes.supervised import Supervised


class ProcessRuntime(Supervised):
    """Runs programs as plain processes of this machine and user."""

    name = "process"
