"""A server that dies where it is told to, and whoever asks it for something meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hostile.servers import PATIENCE, muster
from muster.client import Muster, Patience
from muster.client.home import running_server
from muster.domain.errors import Unreachable

Said = TypeVar("Said")

_ONCE = Patience(seconds=PATIENCE, tries=1, read=PATIENCE)
_LONG = 2 * PATIENCE


@dataclass
class Mortal:
    """The servers of one home, one after the other."""

    home: Path

    def up(self, dying: str = "") -> None:
        """Start one that dies at this point; it may be there before it answers."""
        env = {"MUSTER_FAILPOINTS": dying} if dying else {}
        done = muster(self.home, "up", "--detach", "--port", "0", env=env)
        assert dying or done.code == 0, done.err

    @contextmanager
    def client(self) -> Iterator[Muster]:
        """Who asks once, and is told when nobody answers."""
        with Muster.from_home(self.home, patience=_ONCE) as client:
            yield client

    def refused(self, ask: Callable[[Muster], Any]) -> None:
        """Ask for what the server dies of."""
        try:
            with self.client() as client:
                told = ask(client)
        except Unreachable:
            self.dead()
        else:
            raise AssertionError(f"the server answered and lives: {told}")

    def said(self, ask: Callable[[Muster], Said]) -> Said:
        """What a living server answers."""
        with self.client() as client:
            return ask(client)

    def dead(self, point: str = "its point") -> None:
        """Wait until the server is gone."""
        deadline = time.monotonic() + _LONG
        while running_server(self.home) is not None:
            assert time.monotonic() < deadline, f"the server did not die at {point}"
            time.sleep(0.02)

    def until(self, task: str, *statuses: str) -> Any:
        """The task once it is in one of these states."""
        deadline = time.monotonic() + _LONG
        with self.client() as client:
            while (found := client.get_task(task))["status"] not in statuses:
                assert time.monotonic() < deadline, (found["status"], found["reason"])
                time.sleep(0.05)
            return found


@contextmanager
def mortal(home: Path) -> Iterator[Mortal]:
    """The servers of a home; at the end the last one is told to go."""
    try:
        yield Mortal(home)
    finally:
        muster(home, "down")
