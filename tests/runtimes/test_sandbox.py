"""The sandbox runtime: what every place does, in bubblewrap."""

from __future__ import annotations

import json
import os
import signal

import pytest

from contracts.runtime import Place
from contracts.supervised import SupervisedContract
from muster.runtimes.base import Why
from muster.runtimes.sandbox import SandboxRuntime


@pytest.mark.needs_bubblewrap
class TestSandboxRuntime(SupervisedContract):
    """The suite for places of this machine."""

    counts_what_is_left = False
    shim_is_shown_elsewhere = True

    def make_runtime(self) -> SandboxRuntime:
        """A fresh object; all of them know each other's runs."""
        return SandboxRuntime()

    async def test_a_killed_sandbox_is_not_called_a_program_that_cannot_be_executed(
        self, place: Place
    ) -> None:
        record = await place.shell("echo begun; sleep 300")
        await place.says(b"begun")
        outer = int(json.loads((record.path / "shim.json").read_text())["session"])
        os.kill(outer, signal.SIGKILL)
        ended = await place.end()
        assert (ended.code, ended.why) == (-signal.SIGKILL, Why.EXIT)
        assert ended.detail == ""
