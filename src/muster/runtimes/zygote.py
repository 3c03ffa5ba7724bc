"""The mother of shims: a small process that is ready to fork one in a few milliseconds.

It reads nothing of what is to be run: for each run it is handed a socket, over which the new shim
talks with the server itself. So no secret passes through a process that lives on.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
from dataclasses import dataclass, replace

from muster.runtimes import cgroups
from muster.runtimes.shim import Cradle, Keeper, Order, Shim, claim

REQUEST = struct.Struct("<II")
"""How a run is ordered: the lengths of a JSON document and of the standard input that follow."""
STARTED_NOW, STARTED_BEFORE = b"n", b"b"
_REST = 0.02
_TRIES = 3


def serve(socket_fd: int, *, nested: bool, keeper: type[Keeper] = Keeper) -> None:
    """Hand each socket that comes in to a shim of its own, until the server hangs up.

    `keeper` is what the shims start and contain their programs by.
    """
    server = socket.socket(fileno=socket_fd)
    server.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    boxes = cgroups.settle(nested=nested)
    gc.collect()
    gc.freeze()
    nursery = _Nursery(boxes, server, keeper)
    while True:
        # A moment's rest before the next spare: the run that was just ordered goes first.
        if nursery.spare is None and not select.select([server], [], [], _REST)[0]:
            if nursery.breed():
                return
            continue
        word, fds, _, _ = socket.recv_fds(server, 1, 1, socket.MSG_CMSG_CLOEXEC)
        if not word:
            break
        for fd in fds:
            if nursery.hand_over(fd):
                return
            os.close(fd)
    nursery.close()
    cgroups.leave(boxes)


@dataclass(frozen=True, slots=True)
class _Spare:
    """A shim that waits for its order: the socket to it, and the mark of its box."""

    link: socket.socket
    mark: str


class _Nursery:
    """One shim is kept ready, so that a run starts without waiting for what can be done before.

    What forks returns True in the fork, when that has done its work and should end.
    """

    def __init__(self, boxes: cgroups.Boxes, server: socket.socket, keeper: type[Keeper]) -> None:
        self._boxes = boxes
        self._keeper = keeper
        self._server = server
        self.spare: _Spare | None = None

    def breed(self, *others: int) -> bool:
        """Fork the next shim, which gets ready by itself; it needs no descriptors of others."""
        ours, theirs = socket.socketpair()
        mark = os.urandom(16).hex()
        with theirs:
            if not _fork_twice():
                self.spare = _Spare(ours, mark)
                return False
            self._server.close()
            ours.close()
            for fd in others:
                os.close(fd)
            gc.enable()
            _be_shim(theirs, self._boxes, mark, self._keeper)
        return True

    def hand_over(self, fd: int) -> bool:
        """Give the spare shim the socket of its run."""
        for _ in range(_TRIES):
            if self.spare is None and self.breed(fd):
                return True
            if self.spare is not None and self._send(self.spare, fd):
                return False
        return False

    def close(self) -> None:
        """Let the spare go, which then ends."""
        if self.spare is not None:
            spare, self.spare = self.spare, None
            with spare.link as link, contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_WR)
                link.recv(1)  # its end closes when it is gone
            cgroups.close_box(cgroups.box_of(self._boxes, spare.mark))

    def _send(self, spare: _Spare, fd: int) -> bool:
        """Whether it was there to take it; if not, somebody killed it, and its box is left."""
        self.spare = None
        with spare.link:
            try:
                socket.send_fds(spare.link, [b"f"], [fd])
            except OSError:
                cgroups.close_box(cgroups.box_of(self._boxes, spare.mark))
                return False
        return True


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


def _be_shim(zygote: socket.socket, boxes: cgroups.Boxes, mark: str, kind: type[Keeper]) -> None:
    """Get ready, wait for the order, run it, and be gone."""
    cradle = Cradle(boxes, mark, kind.dress)
    _, fds, _, _ = socket.recv_fds(zygote, 1, 1, socket.MSG_CMSG_CLOEXEC)
    # Without a socket nobody needs a shim any more; without an order, the server died before it
    # had said all: either way nothing was started.
    connection = socket.socket(fileno=fds[0]) if fds else None
    received = _receive(connection) if connection else None
    if received:
        cradle.traces = replace(cradle.traces, trees=received[1].trees)
    claimed = claim(received[0], cradle.traces) if received else None
    if connection is None or received is None or claimed is None:
        cradle.abandon()
        if connection is not None:
            _answer(connection, STARTED_BEFORE if received else b"")
        return
    folder, order = received
    try:
        keeper = kind(order, cradle)
        problem = keeper.launch()
        _answer(connection, STARTED_NOW)
        Shim(keeper, folder, claimed).run(problem)
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
        for name in ("argv", "secrets", "folders"):
            said[name] = tuple(said[name])
        said["trees"] = tuple((int(pid), int(since)) for pid, since in said["trees"])
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


def _answer(connection: socket.socket, word: bytes) -> None:
    with contextlib.suppress(OSError):  # the server may have died; the run goes on
        connection.sendall(word)
    connection.close()


def _complain(folder: str) -> None:
    """Leave word of a fault in the shim itself: only what kind and where, never a value."""
    kind, _, trace = sys.exc_info()
    said = [kind.__name__ if kind else ""]
    while trace is not None:
        code = trace.tb_frame.f_code
        said.append(f"  {code.co_filename}:{trace.tb_lineno} {code.co_qualname}")
        trace = trace.tb_next
    with contextlib.suppress(OSError), open(f"{folder}/shim.log", "a") as file:  # noqa: PTH123 (pathlib is not loaded in a shim)
        file.write("\n".join([*said, ""]))
