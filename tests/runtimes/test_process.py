"""The process runtime: what every place of this machine does, and nothing that contains."""

from __future__ import annotations

from contracts.runtime import READY, Place
from contracts.supervised import SupervisedContract, box_of, is_cpu_limited
from muster.runtimes.cgroups import limited
from muster.runtimes.process import ProcessRuntime


class TestProcessRuntime(SupervisedContract):
    """The suite for places of this machine."""

    def make_runtime(self) -> ProcessRuntime:
        """A fresh object; all of them know each other's runs."""
        return ProcessRuntime()

    async def test_who_takes_too_much_of_the_disk_is_ended(self, place: Place) -> None:
        await self.takes_too_much_of_the_disk(place)

    async def test_what_is_said_to_be_limited_here_is(self, place: Place) -> None:
        record = await place.shell(f"{READY} read x", interactive=True)
        await place.says(b"ready")
        assert ("memory" in limited()) == self.limits_memory(record)
        assert ("cpu" in limited()) == is_cpu_limited(record)
        assert ("pids" in limited()) == any((f / "pids.max").exists() for f in box_of(record))
        await place.runtime.end_input(place.dir())

    def test_it_says_that_it_contains_nothing(self) -> None:
        assert "not contained" in self.make_runtime().describe()
