"""The shim's side of the control socket: who watches, who asks, and the program's input."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections import deque
from collections.abc import Callable

from muster.runtimes.layout import (
    CTL,
    DATA,
    EOF,
    FRAME,
    GREW,
    KILL,
    LONGEST_FRAME,
    NO,
    STOP,
    WATCH,
    YES,
)

_MOST_PEERS = 512
_ENOUGH_WAITING = 1 << 20
_HINT_EVERY = 0.005
_DAY = 24 * 3600.0


class Input:
    """The program's standard input: what it has not taken yet is kept here, up to a bound.

    `record` is told all that is accepted, before the program is; False when it takes no more.
    """

    def __init__(
        self, loop: Loop, fd: int, first: bytes, record: Callable[[bytes], bool] | None
    ) -> None:
        self._record = record
        if record is not None and first:
            record(first)
        self._loop = loop
        self._fd: int | None = fd
        self._waiting = deque([first] if first else [])
        self._size = len(first)
        self._last = record is None
        self._polled = False
        os.set_blocking(fd, False)
        self.push()

    @property
    def open(self) -> bool:
        """Whether more may be added."""
        return self._fd is not None and not self._last

    @property
    def full(self) -> bool:
        """Whether the program should take some first."""
        return self._fd is not None and self._size > _ENOUGH_WAITING

    def add(self, data: bytes) -> bool:
        """Pass on to the program; False when it takes no input any more."""
        if not self.open or (self._record is not None and not self._record(data)):
            return False
        self._waiting.append(data)
        self._size += len(data)
        self.push()
        return self._fd is not None

    def end(self) -> bool:
        """Close once all was taken."""
        was_open = self.open
        self._last = True
        self.push()
        return was_open

    def push(self) -> None:
        """Write what the pipe takes now."""
        try:
            while self._fd is not None and self._waiting:
                data = self._waiting[0]
                written = os.write(self._fd, data)
                self._size -= written
                if written < len(data):
                    self._waiting[0] = data[written:]
                else:
                    self._waiting.popleft()
        except BlockingIOError:
            pass
        except OSError:  # the program closed its end, so nobody will read the rest
            self.close()
        if self._last and not self._waiting:
            self.close()
        self._poll(wanted=bool(self._waiting))

    def close(self) -> None:
        """Let go of the pipe and of what was not taken."""
        self._poll(wanted=False)
        self._waiting.clear()
        self._size = 0
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _poll(self, *, wanted: bool) -> None:
        if self._fd is None or wanted == self._polled:
            return
        self._polled = wanted
        if wanted:
            self._loop.add(self._fd, self.push, select.EPOLLOUT)
        else:
            self._loop.remove(self._fd)


class Loop:
    """The descriptors that a shim waits for, and what each is for."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._ready: dict[int, Callable[[], object]] = {}

    def add(self, fd: int, ready: Callable[[], object], events: int = select.EPOLLIN) -> None:
        """Call `ready` whenever `fd` is."""
        self._poll.register(fd, events)
        self._ready[fd] = ready

    def remove(self, fd: int) -> None:
        """Wait for `fd` no longer."""
        if self._ready.pop(fd, None):
            self._poll.unregister(fd)

    def turn(self, seconds: float | None) -> None:
        """Wait for at most so long, or a day, and serve what is ready."""
        # The kernel cannot be told to wait for more than 24 days.
        for fd, _ in self._poll.poll(None if seconds is None else min(max(0.0, seconds), _DAY)):
            if ready := self._ready.get(fd):
                ready()


class Peer:
    """One connection: reads requests, sends answers and hints."""

    def __init__(self, control: Control, connection: socket.socket) -> None:
        self._control = control
        self._connection = connection
        self._buffer = b""
        self.watches = False

    def fileno(self) -> int:
        """Its descriptor."""
        return self._connection.fileno()

    def say(self, word: bytes) -> None:
        """Send, unless the other side does not read; it will look again by itself."""
        with contextlib.suppress(OSError):
            self._connection.send(word)

    def hear(self) -> None:
        """Read and serve what came."""
        try:
            data = self._connection.recv(LONGEST_FRAME)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._control.drop(self)
            return
        self._buffer += data
        self.serve()

    def serve(self) -> None:
        """Serve the requests that are here whole, until one has to wait."""
        while len(self._buffer) >= FRAME.size:
            word, length = FRAME.unpack_from(self._buffer)
            if length > LONGEST_FRAME:
                self._control.drop(self)
                return
            end = FRAME.size + length
            if len(self._buffer) < end:
                return
            body, self._buffer = self._buffer[FRAME.size : end], self._buffer[end:]
            if not self._control.serve(self, word, body):
                return

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Control:
    """The listening socket and everybody who is connected to it."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        stop: Callable[[], None],
        kill: Callable[[], None],
    ) -> None:
        self.input: Input | None = None
        self._loop = loop
        self._listener = listener
        self._stop = stop
        self._kill = kill
        self._peers: dict[int, Peer] = {}
        self._waiting: list[Peer] = []  # their data was taken, but the program should read first
        self._told_at = 0.0
        self.hint_due: float | None = None
        loop.add(listener.fileno(), self._accept)

    @staticmethod
    def listen() -> socket.socket:
        """Bind in the current folder, because a socket's path may only be 107 bytes long."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(CTL)  # noqa: PTH108 - pathlib is too heavy for the shim
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(CTL)
        listener.listen(64)
        listener.setblocking(False)
        return listener

    def grew(self, now: float) -> None:
        """Tell those who watch that there is more to read, at once or within 5 ms."""
        if self.hint_due is None:
            self.hint_due = max(now, self._told_at + _HINT_EVERY)

    def tell(self, now: float) -> None:
        """Send the hint that is due."""
        self.hint_due, self._told_at = None, now
        for peer in self._peers.values():
            if peer.watches:
                peer.say(GREW)

    def serve(self, peer: Peer, word: bytes, body: bytes) -> bool:
        """Do what a peer asks; False when its next request has to wait."""
        if word == DATA:
            return self._take(peer, body)
        match word:
            case _ if word == WATCH:
                peer.watches = True
            case _ if word == STOP:
                self._stop()
            case _ if word == KILL:
                self._kill()
            case _ if word == EOF:
                done = self.input is not None and self.input.end()
                peer.say(YES if done else NO)
                return True
        peer.say(YES)
        return True

    def settle(self) -> None:
        """Answer those whose data the program has room for by now."""
        if not self._waiting or (self.input is not None and self.input.full):
            return
        waiting, self._waiting = self._waiting, []
        for peer in waiting:
            self._loop.add(peer.fileno(), peer.hear)
            peer.say(YES)
            peer.serve()

    def drop(self, peer: Peer) -> None:
        """Forget a peer that hung up."""
        self._loop.remove(peer.fileno())
        self._peers.pop(peer.fileno(), None)
        peer.close()

    def close(self) -> None:
        """Hang up on everybody; they take it as a sign to look how the run ended."""
        self._loop.remove(self._listener.fileno())
        self._listener.close()
        for peer in list(self._peers.values()):
            self.drop(peer)

    def _take(self, peer: Peer, body: bytes) -> bool:
        if self.input is None or not self.input.add(body):
            peer.say(NO)
        elif self.input.full:
            self._loop.remove(peer.fileno())
            self._waiting.append(peer)
            return False
        else:
            peer.say(YES)
        return True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            if len(self._peers) >= _MOST_PEERS:  # the oldest; who only watches looks again
                self.drop(next(iter(self._peers.values())))
            connection.setblocking(False)
            peer = Peer(self, connection)
            self._peers[peer.fileno()] = peer
            self._loop.add(peer.fileno(), peer.hear)
