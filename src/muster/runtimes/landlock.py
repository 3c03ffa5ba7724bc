"""Landlock: the kernel's way for a process to give up rights by itself, without any namespace.

It holds files and, from ABI 4 on, TCP ports. It hides no names and no processes, and knows neither
UDP nor addresses. Numbers and structures are those of linux/landlock.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = 1, 2, 4, 8, 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_FILES_BY_ABI = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 5: 0xFFFF}
_NET_ABI, _SCOPE_ABI = 4, 6
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPES = 3  # abstract sockets and signals
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 24, 22, 2
_CAPABILITY_VERSION = 0x20080522
_LAST_CAPABILITY = 63
_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """Which version of Landlock the kernel has; 0 for none."""
    return max(0, int(_libc.syscall(ctypes.c_long(_CREATE), None, 0, _VERSION)))


def restrict(
    readable: Iterable[str], writable: Iterable[str], connect: Iterable[int] | None
) -> None:
    """Give up all files but these, and all TCP connections but to these ports, for good.

    `connect` is None where nobody asks for a network, which is none.

    Raises:
        OSError: the kernel refused.
    """
    version = abi()
    files = _FILES_BY_ABI[max(known for known in _FILES_BY_ABI if known <= version)]
    net = _CONNECT_TCP if version >= _NET_ABI else 0
    scopes = _SCOPES if version >= _SCOPE_ABI else 0
    size = 24 if version >= _SCOPE_ABI else 16 if version >= _NET_ABI else 8
    attributes = struct.pack("=QQQ", files, net, scopes)[:size]
    ruleset = _call(_CREATE, attributes, size, 0)
    try:
        for paths, rights in ((readable, _READ), (writable, files)):
            for path in paths:
                _allow_path(ruleset, path, rights & files)
        for port in connect or () if net else ():
            _call(_ADD, ruleset, _NET_PORT, struct.pack("=QQ", _CONNECT_TCP, port), 0)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                rights &= _OF_FILES
            _call(_ADD, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
        finally:
            os.close(fd)


def drop_capabilities() -> None:
    """Give up what root may do beyond its own files, also across programs."""
    for number in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    if _libc.capset(header, struct.pack("=6I", *[0] * 6)):
        raise _error()


def filter_calls(program: bytes) -> None:
    """Live under a filter of system calls (`seccomp`) from now on.

    Raises:
        OSError: the kernel refused.
    """
    memory = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(memory))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head)


def _prctl(option: int, value: int, more: bytes | int = 0) -> None:
    last = ctypes.c_ulong(more) if isinstance(more, int) else more
    if _libc.prctl(option, ctypes.c_ulong(value), last, 0, 0):
        raise _error()


def _call(number: int, *arguments: bytes | int) -> int:
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    answer = int(_libc.syscall(ctypes.c_long(number), *wide))
    if answer < 0:
        raise _error()
    return answer


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
