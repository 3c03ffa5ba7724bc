"""The filter of system calls that a contained program lives under.

Refused is what changes the machine, looks into other processes, makes namespaces or has a long
record of holes in the kernel; honest work needs none of it. A program of a foreign architecture
gets "no such call" for everything, because its numbers mean other calls.
"""

from __future__ import annotations

import errno
import struct

_NEW_NAMESPACES = 0x7E020000
"""The flags of clone(2) that make a namespace: mount, cgroup, uts, ipc, user, pid, net."""
_INPUT_TRICKS = (0x5412, 0x541C)  # ioctl TIOCSTI, TIOCLINUX: type into a terminal
_UNIX, _INET = 1, (2, 10)
_NETLINK, _NETLINK_ROUTE = 16, 0
_STREAMS = (1, 1 | 0o4000, 1 | 0o2000000, 1 | 0o2004000)  # SOCK_STREAM, with NONBLOCK and CLOEXEC
_TCP = (0, 6)
_FAST_OPEN = 0x20000000
_SENDING = {(44, 206): 3, (46, 211): 2, (307, 269): 3}
"""sendto, sendmsg and sendmmsg, with the number of the argument that holds the flags."""

_X86_64, _AARCH64 = 0xC000003E, 0xC00000B7
_X32 = 0x40000000
# name: number on x86-64, number on arm64; None where there is no such call
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "uselib": (134, None),
    "vhangup": (153, 58),
}
_CLONE, _CLONE3, _IOCTL, _SOCKET = (56, 220), (435, 435), (16, 29), (41, 198)
_ARCHITECTURES = {"x86_64": (_X86_64, 0), "aarch64": (_AARCH64, 1)}

# --- classic BPF over struct seccomp_data {int nr; u32 arch; u64 ip; u64 args[6]} -----------------

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARGUMENT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _argument(number: int) -> bytes:
    """Load the low half of an argument: the kernel looks at no more of the ones asked for here."""
    return _load(_ARGUMENT + 8 * number)


def _answer(number: int) -> bytes:
    return _instruction(_RETURN, _ERROR | number if number else _ALLOW)


def _when(code: int, value: int, then: bytes) -> bytes:
    """Do `then`, which must end in an answer, when the comparison holds; else go on after it."""
    return _instruction(code, value, 0, len(then) // 8) + then


def program(machine: str, *, only_tcp: bool = False) -> bytes | None:
    """The filter for a machine as `os.uname` names it; None when its call numbers are not known.

    With `only_tcp` there are no sockets but local ones and those that Landlock holds to a port.
    """
    if machine not in _ARCHITECTURES:
        return None
    arch, column = _ARCHITECTURES[machine]
    parts = [
        _load(_ARCH),
        _instruction(_IF_EQUAL, arch, 1, 0) + _answer(errno.ENOSYS),
        _load(_NR),
        _when(_IF_AT_LEAST, _X32, _answer(errno.ENOSYS)) if arch == _X86_64 else b"",
        *(
            _when(_IF_EQUAL, numbers[column] or 0, _answer(errno.EPERM))
            for numbers in _CALLS.values()
            if numbers[column] is not None
        ),
        # Its flags lie in memory, where no filter can look; the C library then uses clone.
        _when(_IF_EQUAL, _CLONE3[column], _answer(errno.ENOSYS)),
        _when(_IF_EQUAL, _CLONE[column], _clone()),
        _when(_IF_EQUAL, _IOCTL[column], _ioctl()),
        _when(_IF_EQUAL, _SOCKET[column], _tcp_socket() if only_tcp else _socket()),
        *(_fast_open(column) if only_tcp else ()),
        _answer(0),
    ]
    return b"".join(parts)


def _clone() -> bytes:
    refuse = _when(_IF_ANY_BIT, _NEW_NAMESPACES, _answer(errno.EPERM))
    return _argument(0) + refuse + _answer(0)


def _ioctl() -> bytes:
    refuse = [_when(_IF_EQUAL, number, _answer(errno.EPERM)) for number in _INPUT_TRICKS]
    return _argument(1) + b"".join(refuse) + _answer(0)


def _socket() -> bytes:
    allow = [_when(_IF_EQUAL, family, _answer(0)) for family in (_UNIX, *_INET)]
    route = _argument(2) + _when(_IF_EQUAL, _NETLINK_ROUTE, _answer(0))
    netlink = _when(_IF_EQUAL, _NETLINK, route + _answer(errno.EAFNOSUPPORT))
    return _argument(0) + b"".join(allow) + netlink + _answer(errno.EAFNOSUPPORT)


def _tcp_socket() -> bytes:
    """Landlock knows TCP and nothing else: no UDP, no raw sockets, no multipath TCP."""
    protocol = _argument(2) + b"".join(_when(_IF_EQUAL, one, _answer(0)) for one in _TCP)
    refuse = _answer(errno.EAFNOSUPPORT)
    kinds = [_when(_IF_EQUAL, kind, protocol + refuse) for kind in _STREAMS]
    tcp = [_when(_IF_EQUAL, family, _argument(1) + b"".join(kinds) + refuse) for family in _INET]
    return _argument(0) + _when(_IF_EQUAL, _UNIX, _answer(0)) + b"".join(tcp) + refuse


def _fast_open(column: int) -> list[bytes]:
    """A connection that opens with its first data passes by Landlock."""
    refuse = _when(_IF_ANY_BIT, _FAST_OPEN, _answer(errno.EPERM)) + _answer(0)
    return [
        _when(_IF_EQUAL, numbers[column], _argument(flags) + refuse)
        for numbers, flags in _SENDING.items()
    ]
