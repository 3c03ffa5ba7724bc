"""What a contained run was kept from: one line of JSON for each, beside its output.

The file is `refused` in the run directory. A program that asks without end fills no disk: after
`MOST` lines one more says so, and no further ones are kept.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

REFUSED = "refused"
NETWORK, CONNECTION = "network", "connection"
"""What was asked of the proxy, and where to no way led; `alarms` hears of further kinds."""
MOST = 2000
_LONGEST = 300
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Refusal:
    """One try to reach what is not allowed. `time` is epoch seconds, `host` a stranger's text.

    What did not go by the proxy is another `kind`, with `what` and how often in place of the host.
    """

    time: float
    host: str
    port: int
    why: str
    kind: str = NETWORK
    what: str = ""
    count: int = 1


class Record:
    """The file, while it is written. Safe to use from several threads."""

    def __init__(self, folder: str, safe: Callable[[bytes], bytes]) -> None:
        """`safe` takes secrets out of what is written."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(f"{folder}/{REFUSED}", flags, 0o600)
        self._safe = safe
        self._lock = threading.Lock()
        self._room = MOST - _lines(f"{folder}/{REFUSED}")

    def add(self, host: str, port: int, why: str) -> None:
        """Write down what the proxy refused."""
        with self._lock:
            self._room -= 1
            if self._room < 0:
                return
            if not self._room:
                host, port, why = "", 0, "more was refused than is written down"
            self._write({"host": host[:_LONGEST], "port": port, "why": why})

    def heard(self, kind: str, what: str, count: int, why: str) -> None:
        """Write down what was refused beside the proxy, which is little."""
        self._write({"kind": kind, "what": what, "count": count, "why": why})

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _write(self, said: Mapping[str, object]) -> None:
        line = json.dumps({"time": time.time(), **said}).encode()
        os.write(self._fd, self._safe(line) + b"\n")


def _lines(path: str) -> int:
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is too heavy for the shim
        return sum(1 for _ in file)


def read_refusals(run_dir: os.PathLike[str], offset: int = 0) -> tuple[list[Refusal], int]:
    """What was refused from a byte offset on, and the offset to ask from next time."""
    try:
        fd = os.open(os.path.join(run_dir, REFUSED), os.O_RDONLY | os.O_NOFOLLOW)  # noqa: PTH118
    except FileNotFoundError:
        return [], offset
    try:
        data = os.pread(fd, _PIECE, offset)
    finally:
        os.close(fd)
    whole = data[: data.rfind(b"\n") + 1]
    found = map(_refusal, whole.splitlines())
    return [one for one in found if one is not None], offset + len(whole)


def _refusal(line: bytes) -> Refusal | None:
    """A line, or None where hiding a secret has left no JSON."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    at, why, kind = float(said["time"]), str(said["why"]), str(said.get("kind", NETWORK))
    if kind == NETWORK:
        return Refusal(at, str(said["host"]), int(said["port"]), why)
    return Refusal(at, "", 0, why, kind, str(said["what"]), int(said["count"]))
