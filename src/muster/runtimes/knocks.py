"""Who knocks at a port of the machine on the run's own loopback, where nothing listens.

A packet socket in the run's network hears the kernel's refusals of connections. Honest tests knock
at closed ports all the time; so it is told only where something listens on that port outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import time

from muster.runtimes.tripwires import Report

PORT = "port"
_WHY = "it is a port of this machine, and the loopback in here is the run's own"
_PROTOCOLS = (0x0800, 0x86DD)  # IPv4, IPv6
_ATTACH_FILTER = 26
_TCP, _REFUSAL = 6, 0x14  # RST and ACK
_MOST_HEARD = 20_000
_OLD = 1.0
_LISTENS = b"0A"
_DROP = -1
"""The instruction, counted from the end, that drops the packet."""

# An instruction of classic BPF: its code, where to go on if it holds and if not, its number.
_Lines = tuple[tuple[int, int, int, int], ...]
_LOAD_B, _LOAD_H, _LENGTH_X, _LOAD_AT_X, _LOAD_W_AT_X = 0x30, 0x28, 0xB1, 0x50, 0x40
_AND, _IF_EQUAL, _IF_BITS, _RETURN = 0x54, 0x15, 0x45, 0x06
_LOAD_X = 0x01
_IPV4: _Lines = (
    (_LOAD_B, 0, 0, 9),
    (_IF_EQUAL, 0, _DROP, _TCP),
    (_LOAD_H, 0, 0, 6),
    (_IF_BITS, _DROP, 0, 0x1FFF),
    (_LENGTH_X, 0, 0, 0),
)
_IPV6: _Lines = (
    (_LOAD_B, 0, 0, 6),
    (_IF_EQUAL, 0, _DROP, _TCP),
    (_LOAD_X, 0, 0, 40),
)
_REFUSED: _Lines = (
    (_LOAD_AT_X, 0, 0, 13),
    (_AND, 0, 0, _REFUSAL),
    (_IF_EQUAL, 0, _DROP, _REFUSAL),
    (_LOAD_W_AT_X, 0, 0, 4),
    (_IF_EQUAL, 0, _DROP, 0),  # the answer to a first packet has no number of its own
    (_RETURN, 0, 0, 128),
    (_RETURN, 0, 0, 0),
)


def _packed(lines: _Lines) -> bytes:
    def way(to: int, at: int) -> int:
        return len(lines) - 2 - at if to == _DROP else to

    return b"".join(
        struct.pack("=HBBI", code, way(yes, at), way(no, at), number)
        for at, (code, yes, no, number) in enumerate(lines)
    )


def ears() -> list[socket.socket]:
    """Sockets that hear refused connections in this process's network; none where it may not."""
    made: list[socket.socket] = []
    for protocol, head in zip(_PROTOCOLS, (_IPV4, _IPV6), strict=True):
        with contextlib.suppress(OSError):
            ear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))
            lines = (*head, *_REFUSED)
            held = ctypes.create_string_buffer(_packed(lines))
            program = struct.pack("HP", len(lines), ctypes.addressof(held))
            ear.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
            ear.setblocking(False)
            made.append(ear)
    return made


class Knocks:
    """What the ears of one run hear; each port is told once."""

    def __init__(self, ears: list[socket.socket], report: Report) -> None:
        self.ears = ears
        self._report = report
        self._told: set[int] = set()
        self._outside: tuple[float, frozenset[int]] = (-_OLD, frozenset())
        self._heard = 0

    def hear(self) -> bool:
        """Tell of who knocked; False when no more is listened to."""
        for ear in self.ears:
            with contextlib.suppress(BlockingIOError):
                while self._heard < _MOST_HEARD:
                    self._heard += 1
                    data, where = ear.recvfrom(128)
                    self._one(data, int(where[1]))
        return self._heard < _MOST_HEARD

    def _one(self, data: bytes, protocol: int) -> None:
        start = 40 if protocol == _PROTOCOLS[1] else (data[0] & 0xF) * 4
        if len(data) < start + 2:
            return
        (port,) = struct.unpack_from(">H", data, start)
        if port not in self._told and port in self._listening():
            self._told.add(port)
            self._report(PORT, f"port {port} of this machine", 1, _WHY)

    def _listening(self) -> frozenset[int]:
        """The ports on which something of this machine listens."""
        when, found = self._outside
        if time.monotonic() - when > _OLD:
            found = frozenset(_read("tcp")) | frozenset(_read("tcp6"))
            self._outside = time.monotonic(), found
        return found

    def close(self) -> None:
        """Hear the last.

        The kernel closes the ears when this process ends: it takes 10 ms and more for each, and by
        then nobody waits.
        """
        self.hear()
        for ear in self.ears:
            ear.detach()
        self.ears = []


def _read(name: str) -> list[int]:
    with contextlib.suppress(FileNotFoundError), open(f"/proc/self/net/{name}", "rb") as file:  # noqa: PTH123 - pathlib is too heavy for the shim
        fields = (line.split() for line in file.readlines()[1:])
        return [int(one[1].rpartition(b":")[2], 16) for one in fields if one[3] == _LISTENS]
    return []
