"""What passes through the door of a container: messages, and the program's streams with them.

The door is a socket in a folder that the container sees. Outside, a run's shim has a keeper at it
(`doorkeeper`); inside, the container's first process knocks (`inside`). So neither the run
directory nor the engine that runs containers has a part in what the program reads and writes.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

SOCKET = "s"
"""The name of the socket in the door's folder."""
PATIENCE = 30.0
"""How long either side waits for the other to come, in seconds."""

_HEAD = struct.Struct("<I")
_MOST_FDS = 4
_LONGEST = 1 << 26


def say(connection: socket.socket, words: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
    """Send a message, and descriptors with it.

    Raises:
        OSError: the other side is gone.
    """
    body = json.dumps(words).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    connection.sendmsg([_HEAD.pack(len(body))], rights)
    connection.sendall(body)


def hear(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next message and the descriptors that came with it; None when the other side is gone."""
    fds: list[int] = []
    try:
        body = _body(connection, _head(connection, fds))
    except (ConnectionError, TimeoutError):
        body = None
    if body is None:
        for fd in fds:
            os.close(fd)
        return None, []
    words = json.loads(body)
    return (words if isinstance(words, dict) else None), fds


def _head(connection: socket.socket, fds: list[int]) -> bytes:
    """How a message begins; the descriptors that come with it are added to `fds`."""
    head = b""
    room = socket.CMSG_SPACE(_MOST_FDS * array.array("i").itemsize)
    while len(head) < _HEAD.size:
        piece, rights, _, _ = connection.recvmsg(
            _HEAD.size - len(head), room, socket.MSG_CMSG_CLOEXEC
        )
        for level, kind, data in rights:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds += array.array("i", data)
        if not piece:
            break
        head += piece
    return head


def _body(connection: socket.socket, head: bytes) -> bytes | None:
    if len(head) < _HEAD.size:
        return None
    (length,) = _HEAD.unpack(head)
    if length > _LONGEST:
        return None
    body = bytearray()
    while len(body) < length:
        piece = connection.recv(min(1 << 20, length - len(body)))
        if not piece:
            return None
        body += piece
    return bytes(body)
