"""Sockets inside the network of another process, which has no other way out.

Some listen, and some hear what is refused there (`knocks`).

Root enters that network itself and comes back; for anybody else a helper does, because who has
become another network's owner cannot come back. Nothing runs inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
from collections.abc import Iterator, Sequence

from muster.runtimes.knocks import ears

_NS_GET_USERNS = 0xB701
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
_BACKLOG = 128
_MOST, _EARS = 64, 2
_libc = ctypes.CDLL(None, use_errno=True)


def open_inside(
    pid: int, addresses: Sequence[tuple[str, int]]
) -> tuple[list[socket.socket], list[socket.socket]]:
    """One listening socket for each address in the network of a process, and the ears in it.

    Raises:
        OSError: they cannot be opened there, or are more than can be.
    """
    if len(addresses) > _MOST:
        raise OSError(f"more than {_MOST} addresses of this machine are allowed")
    with _opened(f"/proc/{pid}/ns/net") as there, _opened("/proc/self/ns/net") as here:
        if _setns(there, _CLONE_NEWNET) == 0:
            try:
                return [listen(*address) for address in addresses], ears()
            finally:
                _come_back(here)
    return _by_helper(pid, addresses)


def _come_back(here: int) -> None:
    if _setns(here, _CLONE_NEWNET):
        os.abort()  # a supervisor in its program's network could serve nobody


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _by_helper(
    pid: int, addresses: Sequence[tuple[str, int]]
) -> tuple[list[socket.socket], list[socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        helper = os.fork()
        if helper == 0:
            _help(pid, addresses, theirs)
        os.waitpid(helper, 0)
        theirs.close()
        said, fds, _, _ = socket.recv_fds(ours, 4096, _MOST + _EARS, socket.MSG_CMSG_CLOEXEC)
    if said != b"y":
        raise OSError(said.decode("utf-8", "replace") or "the helper for its network died")
    found = [socket.socket(fileno=fd) for fd in fds]
    return found[: len(addresses)], found[len(addresses) :]


def _help(pid: int, addresses: Sequence[tuple[str, int]], answer: socket.socket) -> None:
    """Never returns."""
    try:
        _enter(pid)
        made = [*(listen(*address) for address in addresses), *ears()]
        socket.send_fds(answer, [b"y"], [one.fileno() for one in made])
    except BaseException as error:  # noqa: BLE001 - nothing may run on as a second shim
        with contextlib.suppress(OSError):
            answer.send(f"its network could not be opened: {error}".encode()[:4000])
    os._exit(0)


def _enter(pid: int) -> None:
    """Become what the owner of that network is, then enter it."""
    net = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    owner = fcntl.ioctl(net, _NS_GET_USERNS)
    if _setns(owner, _CLONE_NEWUSER) or _setns(net, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _setns(fd: int, kind: int) -> int:
    return int(_libc.setns(fd, kind))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, also where the address is only about to appear."""
    v6 = ":" in host
    door = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM)
    if v6:
        door.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    else:
        door.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind((host, port))
    door.listen(_BACKLOG)
    return door
