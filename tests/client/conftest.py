"""A server for each test, and a client whose time is the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.client.loopback import TOKEN, Loopback

from muster.client import Clock, Muster, Patience


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def muster(server: Loopback, time: Time) -> Iterator[Muster]:
    clock = Clock(now=lambda: time.now, sleep=time.sleep)
    with Muster(server.url, TOKEN, patience=Patience(read=10.0), clock=clock) as muster:
        yield muster
