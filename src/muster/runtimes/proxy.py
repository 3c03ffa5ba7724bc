"""The one way out of a contained run's network: an HTTP proxy that asks `egress` first.

It speaks CONNECT, and plain HTTP with the whole address in the request line. It resolves names
itself and dials only an address that it has looked at. Beside it stand the doors to ports of this
machine that are allowed by their number. Everything that comes in is a stranger's.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from muster.runtimes.egress import Rule, as_address, judge, split
from muster.runtimes.refusals import Record

Target = tuple[str, int]

_ADDRESS = re.compile(r"http://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE)
_LARGEST_HEAD = 65536
_PIECE = 65536
_HEAD_SECONDS, _DIAL_SECONDS, _IDLE_SECONDS = 60.0, 20.0, 3600.0
_MOST_CONNECTIONS = 256
_STACK = 256 * 1024
_DROPPED = ("connection", "proxy-connection", "proxy-authorization", "keep-alive", "host")


class _Refused(Exception):
    """The answer that a program gets instead of a connection."""

    def __init__(self, status: str, said: str) -> None:
        super().__init__(said)
        self.status = status


@dataclass(frozen=True, slots=True)
class Proxy:
    """What may be reached, and where is written down what was refused."""

    allowed: Sequence[Rule]
    record: Record

    def serve(self, doors: Mapping[socket.socket, Target | None]) -> None:
        """Serve for ever; a door without a target speaks HTTP, the others lead straight there."""
        threading.stack_size(_STACK)
        room = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        poll = select.poll()
        by_fd = {door.fileno(): door for door in doors}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                with contextlib.suppress(OSError):
                    client, _ = by_fd[fd].accept()
                    if not room.acquire(timeout=1.0):
                        client.close()
                        continue
                    self._begin(client, doors[by_fd[fd]], room)

    def _begin(
        self, client: socket.socket, target: Target | None, room: threading.BoundedSemaphore
    ) -> None:
        def work() -> None:
            try:
                with client, contextlib.suppress(OSError):
                    self._one(client, target)
            finally:
                room.release()

        try:
            threading.Thread(target=work, daemon=True).start()
        except RuntimeError:  # the machine has no thread left; the program may try again
            client.close()
            room.release()

    def _one(self, client: socket.socket, target: Target | None) -> None:
        if target is not None:
            with socket.create_connection(target, _DIAL_SECONDS) as there:
                join(client, there)
            return
        client.settimeout(_HEAD_SECONDS)
        try:
            there, first, rest = self._open(*_request(client))
        except _Refused as refused:
            client.sendall(_answer(refused.status, str(refused)))
            return
        with there:
            if first:
                there.sendall(first + rest)
            else:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                there.sendall(rest)
            join(client, there)

    def _open(
        self, method: str, target: str, fields: list[str], rest: bytes
    ) -> tuple[socket.socket, bytes, bytes]:
        """The connection that a request asks for, and what is said there first."""
        if method == "CONNECT":
            host, port = split(target, None)
            return self._dial(host, port or -1), b"", rest
        address = _ADDRESS.fullmatch(target)
        if address is None:
            raise _Refused("400 Bad Request", "this is a proxy: ask for a whole http:// address")
        authority, path = address[1].rpartition("@")[2], address[2]
        host, port = split(authority, 80)
        there = self._dial(host, port or -1)
        kept = [f for f in fields if f.partition(":")[0].strip().lower() not in _DROPPED]
        asked = path if path.startswith("/") else f"/{path}"
        lines = [f"{method} {asked} HTTP/1.1"]
        lines += [f"Host: {authority}", *kept, "Connection: close", "", ""]
        return there, "\r\n".join(lines).encode("latin-1"), rest

    def _dial(self, host: str, port: int) -> socket.socket:
        rule, why = judge(self.allowed, host, port)
        if rule is None:
            self._refuse(host, port, why)
            raise _Refused("403 Forbidden", _told(host, port, why))
        addresses = _addresses(host, port)
        good = [address for address in addresses if _admits(rule, address)]
        if not good:
            why = "is at an address that no rule admits"
            self._refuse(host, port, why)
            raise _Refused("403 Forbidden", _told(host, port, why))
        for address in good:
            with contextlib.suppress(OSError):
                # The address is dialled, never the name: that could lead elsewhere by now.
                return socket.create_connection((address, port), _DIAL_SECONDS)
        raise _Refused("502 Bad Gateway", f"{host} port {port} does not answer")

    def _refuse(self, host: str, port: int, why: str) -> None:
        with contextlib.suppress(OSError):  # a full disk opens no way out
            self.record.add(host, port, why)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _Refused("502 Bad Gateway", f"the name {host} cannot be resolved") from error
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


def _admits(rule: Rule, address: str) -> bool:
    parsed = as_address(address)
    return parsed is not None and rule.admits(parsed)


def _told(host: str, port: int, why: str) -> str:
    return (
        f"muster: {host[:200]} port {port} {why}. This run reaches only what is allowed for it; "
        "whoever runs muster can allow more."
    )


def _answer(status: str, said: str) -> bytes:
    body = said.encode("utf-8", "replace") + b"\n"
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _request(client: socket.socket) -> tuple[str, str, list[str], bytes]:
    """Method, target, header fields, and what came after them."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > _LARGEST_HEAD:
            raise _Refused("431 Request Header Fields Too Large", "the header is too large")
        piece = client.recv(_PIECE)
        if not piece:
            raise _Refused("400 Bad Request", "the request ended early")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Refused("400 Bad Request", "that is no HTTP/1 request")
    if any(field[:1] in {" ", "\t", ""} or "\n" in field or "\r" in field for field in fields):
        raise _Refused("400 Bad Request", "a header field is not well formed")
    return words[0], words[1], fields, rest


class _Way:
    """One direction of a joined pair: what was read and is not written yet."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self._source = source
        self._sink = sink
        self._waiting = b""
        self._ended = False
        self.over = False

    def wants(self) -> tuple[int, int]:
        """The descriptor and the event that it waits for."""
        if self._waiting:
            return self._sink.fileno(), select.POLLOUT
        return self._source.fileno(), 0 if self._ended else select.POLLIN

    def go_on(self) -> None:
        """Read if everything is written, and write what the other side takes now."""
        with contextlib.suppress(BlockingIOError):
            if not self._waiting and not self._ended:
                self._waiting = self._source.recv(_PIECE)
                self._ended = not self._waiting
            while self._waiting:
                self._waiting = self._waiting[self._sink.send(self._waiting) :]
        if self._ended and not self._waiting and not self.over:
            self.over = True
            self._sink.shutdown(socket.SHUT_WR)


def join(one: socket.socket, other: socket.socket) -> None:
    """Pass on what each says to the other until both have ended.

    Raises:
        OSError: one of them is gone, or nothing was said for an hour.
    """
    ways = (_Way(one, other), _Way(other, one))
    for end in (one, other):
        end.setblocking(False)
    while not all(way.over for way in ways):
        wanted = [way.wants() for way in ways]
        poll = select.poll()
        for fd in {fd for fd, _ in wanted}:
            poll.register(fd, sum({event for one, event in wanted if one == fd}))
        ready = dict(poll.poll(_IDLE_SECONDS * 1000))
        if not ready:
            raise TimeoutError("nothing was said for an hour")
        for way, (fd, event) in zip(ways, wanted, strict=True):
            if event and fd in ready:
                way.go_on()
