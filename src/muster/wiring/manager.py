"""What a service manager is told of the server, in the words of systemd's sd_notify."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger("muster.wiring")


class Manager:
    """Who started the server and waits for word of it; without one nothing is told.

    One datagram a word, to the socket that `NOTIFY_SOCKET` names; what a manager does not take is
    no reason to stop.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every = _half_of_watchdog(environ)
        self._pulse: asyncio.Task[None] | None = None

    def ready(self, status: str) -> None:
        """Say that the server answers, and from now on that its loop lives, if it is asked to."""
        self._tell(f"READY=1\nSTATUS={status}")
        if self._address and self._every:
            self._pulse = asyncio.create_task(self._beat())

    def stopping(self) -> None:
        """Say that the server ends in good order."""
        self._tell("STOPPING=1")

    async def let_go(self) -> None:
        """Say no more that the loop lives."""
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._every)

    def _tell(self, words: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = self._address.encode()
        if address.startswith(b"@"):  # how a name without a file is written
            address = b"\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
                speaker.sendto(words.encode(), socket.MSG_DONTWAIT, address)
        except OSError as error:
            log.warning(
                "the service manager was not told '%s': %s", words.partition("\n")[0], error
            )


def _half_of_watchdog(environ: Mapping[str, str]) -> float:
    """Seconds between two signs of life, as the manager asks; 0.0 where it asks for none."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    for_us = environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
    return int(microseconds) / 2_000_000 if microseconds.isdecimal() and for_us else 0.0
