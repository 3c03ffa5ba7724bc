"""Listening sockets inside the network of another process, which has no other way out.

A helper enters that network, opens them there and hands them back; nothing runs inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
from collections.abc import Sequence

_NS_GET_USERNS = 0xB701
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
_BACKLOG = 128
_MOST = 64
_libc = ctypes.CDLL(None, use_errno=True)


def open_inside(pid: int, addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """One listening socket for each address, in the network of the process `pid`.

    Raises:
        OSError: they cannot be opened there, or are more than can be.
    """
    if len(addresses) > _MOST:
        raise OSError(f"more than {_MOST} addresses of this machine are allowed")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        helper = os.fork()
        if helper == 0:
            _help(pid, addresses, theirs)
        os.waitpid(helper, 0)
        theirs.close()
        said, fds, _, _ = socket.recv_fds(ours, 4096, _MOST, socket.MSG_CMSG_CLOEXEC)
    if said != b"y":
        raise OSError(said.decode("utf-8", "replace") or "the helper for its network died")
    return [socket.socket(fileno=fd) for fd in fds]


def _help(pid: int, addresses: Sequence[tuple[str, int]], answer: socket.socket) -> None:
    """Never returns."""
    try:
        _enter(pid)
        doors = [listen(*address) for address in addresses]
        socket.send_fds(answer, [b"y"], [door.fileno() for door in doors])
    except BaseException as error:  # noqa: BLE001 - nothing may run on as a second shim
        with contextlib.suppress(OSError):
            answer.send(f"its network could not be opened: {error}".encode()[:4000])
    os._exit(0)


def _enter(pid: int) -> None:
    net = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if _setns(net, _CLONE_NEWNET) == 0:
        return
    # Not root: first become what the owner of that network is.
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
