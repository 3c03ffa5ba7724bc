"""The process runtime: what every place of this machine does, and nothing that contains."""

from __future__ import annotations

from contracts.runtime import Place
from contracts.supervised import SupervisedContract
from muster.runtimes.process import ProcessRuntime


class TestProcessRuntime(SupervisedContract):
    """The suite for places of this machine."""

    def make_runtime(self) -> ProcessRuntime:
        """A fresh object; all of them know each other's runs."""
        return ProcessRuntime()

    async def test_who_takes_too_much_of_the_disk_is_ended(self, place: Place) -> None:
        await self.takes_too_much_of_the_disk(place)

    def test_it_says_that_it_contains_nothing(self) -> None:
        assert "not contained" in self.make_runtime().describe()
