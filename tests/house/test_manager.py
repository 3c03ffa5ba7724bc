"""What a service manager hears of the server, over a real socket."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from house.patience import PATIENCE
from muster.wiring.manager import Manager

Listen = Callable[[str], socket.socket]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Make the socket that a manager listens on, by the name that it gives its services."""
    made: list[socket.socket] = []

    def listen(name: str) -> socket.socket:
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.append(ear)
        ear.settimeout(PATIENCE)
        ear.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        return ear

    yield listen
    for ear in made:
        ear.close()


def heard(ear: socket.socket) -> str:
    """The next word."""
    return ear.recv(4096).decode()


@pytest.mark.parametrize("hidden", [True, False], ids=["abstract", "path"])
async def test_a_manager_hears_that_the_server_answers_lives_and_ends(
    home: Path, listen: Listen, hidden: bool
):
    name = f"@{secrets.token_hex(8)}" if hidden else str(home / "notify")
    ear = listen(name)
    environ = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000", "WATCHDOG_PID": str(os.getpid())}
    manager = Manager(environ)
    manager.ready("listens")
    assert await asyncio.to_thread(heard, ear) == "READY=1\nSTATUS=listens"
    for _ in range(3):
        assert await asyncio.to_thread(heard, ear) == "WATCHDOG=1"
    await manager.let_go()
    manager.stopping()
    assert "STOPPING=1" in iter(lambda: heard(ear), "")


@pytest.mark.parametrize(
    "asked",
    [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"}],
    ids=["nothing", "no-number", "of-another"],
)
async def test_signs_of_life_are_given_only_where_they_are_asked_for(
    home: Path, listen: Listen, asked: dict[str, str]
):
    ear = listen(str(home / "notify"))
    manager = Manager({"NOTIFY_SOCKET": str(home / "notify"), **asked})
    manager.ready("listens")
    assert heard(ear).startswith("READY=1")
    assert manager._pulse is None


@pytest.mark.parametrize("name", ["", "vsock:2:1234", "not/whole", "/dev/null/nobody"])
async def test_nobody_to_tell_is_no_reason_to_stop(name: str, caplog: pytest.LogCaptureFixture):
    manager = Manager({"NOTIFY_SOCKET": name})
    manager.ready("listens")
    manager.stopping()
    await manager.let_go()
    told = [record.getMessage() for record in caplog.records]
    assert [line for line in told if "'READY=1'" in line and "manager" in line] == (
        told[:1] if name == "/dev/null/nobody" else []
    )
