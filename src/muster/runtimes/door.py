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
    try:
        head, fds, _, _ = socket.recv_fds(
            connection, _HEAD.size, _MOST_FDS, socket.MSG_CMSG_CLOEXEC | socket.MSG_WAITALL
        )
        body = _body(connection, head)
    except (ConnectionError, TimeoutError):
        return None, []
    if body is None:
        for fd in fds:
            os.close(fd)
        return None, []
    words = json.loads(body)
    return (words if isinstance(words, dict) else None), list(fds)


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
