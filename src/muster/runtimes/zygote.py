"""The mother of shims: a small process that is ready to fork one in a few milliseconds.

It reads nothing of what is to be run: for each run it is handed a socket, over which the new shim
talks with the server itself. So no secret passes through a process that lives on.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import struct
import sys
import traceback

from muster.runtimes import cgroups
from muster.runtimes.shim import Order, Shim, claim

REQUEST = struct.Struct("<II")
"""How a run is ordered: the lengths of a JSON document and of the standard input that follow."""
STARTED_NOW, STARTED_BEFORE = "started", "before"


def serve(socket_fd: int, *, nested: bool) -> None:
    """Fork a shim for each socket that comes in, until the server hangs up."""
    server = socket.socket(fileno=socket_fd)
    server.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    boxes = cgroups.settle(nested=nested)
    gc.collect()
    gc.freeze()
    while True:
        word, fds, _, _ = socket.recv_fds(server, 1, 1)
        if not word:
            break
        for fd in fds:
            if _fork_twice():
                server.close()
                _be_shim(socket.socket(fileno=fd), boxes)
                return
            os.close(fd)
    cgroups.leave(boxes)


def _fork_twice() -> bool:
    """True in a grandchild in a session of its own, which nobody has to wait for."""
    try:
        pid = os.fork()
    except OSError:  # the server sees the socket close and says so
        return False
    if pid:
        os.waitpid(pid, 0)
        return False
    os.setsid()
    with contextlib.suppress(OSError):
        if os.fork() == 0:
            return True
    os._exit(0)


def _be_shim(connection: socket.socket, boxes: cgroups.Boxes) -> None:
    """Read the order, run it, and be gone."""
    received = _receive(connection)
    if received is None:  # the server died before it had said all, so nothing was started
        return
    folder, order = received
    claimed = claim(folder)
    if claimed is None:
        _answer(connection, STARTED_BEFORE)
        return
    try:
        shim = Shim(order, folder, claimed, boxes)
        problem = shim.start()
        _answer(connection, STARTED_NOW)
        shim.run(problem)
    except BaseException:
        # Who waits sees the lock go without an exit, kills what is left, and calls the run lost.
        _complain(folder)
        raise


def _receive(connection: socket.socket) -> tuple[str, Order] | None:
    with contextlib.suppress(OSError):
        if (head := _exactly(connection, REQUEST.size)) is None:
            return None
        told, fed = REQUEST.unpack(head)
        body = _exactly(connection, told)
        stdin = _exactly(connection, fed)
        if body is None or stdin is None:
            return None
        said = json.loads(body)
        folder = said.pop("folder")
        said["argv"], said["secrets"] = tuple(said["argv"]), tuple(said["secrets"])
        return folder, Order(stdin=stdin, **said)
    return None


def _exactly(connection: socket.socket, length: int) -> bytes | None:
    data = bytearray()
    while len(data) < length:
        piece = connection.recv(min(1 << 20, length - len(data)))
        if not piece:
            return None
        data += piece
    return bytes(data)


def _answer(connection: socket.socket, state: str) -> None:
    with contextlib.suppress(OSError):  # the server may have died; the run goes on
        connection.sendall(json.dumps({"state": state}).encode())
    connection.close()


def _complain(folder: str) -> None:
    """Leave word of a fault in the shim itself; only where in the code, never a value."""
    where = traceback.extract_tb(sys.exc_info()[2])
    said = [f"{type(sys.exc_info()[1]).__name__}\n", *traceback.format_list(where)]
    with contextlib.suppress(OSError), open(f"{folder}/shim.log", "a") as file:  # noqa: PTH123
        file.writelines(said)


if __name__ == "__main__":
    serve(int(sys.argv[1]), nested=sys.argv[2] == "nested")
