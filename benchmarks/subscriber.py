"""A reader of the event stream that stamps each event with the time it arrived."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Arrival:
    """An event and when it was here, in epoch seconds."""

    event: dict[str, Any]
    at: float


class Subscriber:
    """Follows `/api/events/stream`, or another stream, in a thread until it is closed."""

    def __init__(
        self, host: str, token: str, after: int | None = None, path: str = "/api/events/stream"
    ) -> None:
        """Connect; returns once the server has begun to answer."""
        self.arrivals: list[Arrival] = []
        self._news = threading.Condition()
        self._connection = http.client.HTTPConnection(host, timeout=60)
        path += "" if after is None else f"?after={after}"
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise OSError(f"{path} answered {answer.status}")
        self._lines = answer
        self._lines.readline()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while line := self._lines.readline():
                if line.startswith(b"data: "):
                    arrival = Arrival(json.loads(line[6:]), time.time())
                    with self._news:
                        self.arrivals.append(arrival)
                        self._news.notify_all()
        except (OSError, ValueError, AttributeError):
            return  # closed

    def wait(self, wanted: Callable[[list[Arrival]], bool], seconds: float = 60.0) -> None:
        """Return once what has arrived is what was wanted.

        Raises:
            TimeoutError: it did not come.
        """
        with self._news:
            if not self._news.wait_for(lambda: wanted(self.arrivals), seconds):
                raise TimeoutError(f"not all came in {seconds:g} s; got {len(self.arrivals)}")

    def close(self) -> None:
        """Hang up and end the thread."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._lines.close()
        self._connection.close()
