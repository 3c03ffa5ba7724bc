"""The sandbox runtime: what every place does, in bubblewrap."""

from __future__ import annotations

import pytest

from contracts.supervised import SupervisedContract
from muster.runtimes.sandbox import SandboxRuntime


@pytest.mark.needs_bubblewrap
class TestSandboxRuntime(SupervisedContract):
    """The suite for places of this machine."""

    counts_what_is_left = False

    def make_runtime(self) -> SandboxRuntime:
        """A fresh object; all of them know each other's runs."""
        return SandboxRuntime()
