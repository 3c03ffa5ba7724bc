"""A view of the files in which an ordinary user may mount: a user and a mount namespace of its own.

The server enters it before it has threads; shims, agents and git are started in it and see what is
mounted. It lives as long as anything in it: a server that was killed leaves it to its shims, and
the next server joins them there, so that no workspace is ever mounted twice. When all are gone, as
after a boot, the mounts are gone too, and are made again from the layers, which are plain files.

Whoever is in it keeps the user's own rights and gets no other: the user is mapped to itself, and
the rights of the namespace end where another program is executed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from muster.domain.errors import Unavailable
from muster.workspace.mount import unescape

PRIVATE = "userns-overlay"
"""The backend whose workspaces are seen in here alone."""

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_PARENT = 0xB702
_OURS = b" - overlay muster "

_libc = ctypes.CDLL(None, use_errno=True)


def tried(act: Callable[[], str]) -> str:
    """What `act` says in a namespace of its own, or why there can be none; this process stays."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = "the try broke off"
        try:
            _make()
            said = act()
        except (OSError, Unavailable) as error:
            said = str(error)
        finally:
            os.write(write, said.encode("utf-8", "replace")[:4000])
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read().decode("utf-8", "replace")
    os.waitpid(child, 0)
    return answer


def enter(spaces: Path) -> None:
    """Join the namespace in which something below `spaces` is mounted, else make one.

    The process must have one thread.

    Raises:
        Unavailable: this machine does not let its users.
    """
    here = Path.cwd()
    for folder in _holders(spaces):
        if _join(folder):
            break
    else:
        _make()
    os.chdir(here)


def _make() -> None:
    user, group = os.geteuid(), os.getegid()
    if not hasattr(_libc, "unshare") or _libc.unshare(_NEWUSER | _NEWNS) != 0:
        why = os.strerror(ctypes.get_errno())
        raise Unavailable(f"this user can have no namespace of its own: {why}")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _holders(spaces: Path) -> Iterator[Path]:
    """The folders in /proc of processes that see mounts of ours, from right below our own view.

    A sandbox that shows an agent its workspace is further below, and is passed by.
    """
    own = Path("/proc/self/ns/user").stat()
    top = os.fsencode(spaces.resolve()) + b"/"
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and _sees(folder, top) and _above(folder) == own.st_ino:
                yield folder
        except OSError:
            # It has just ended, or is somebody else's.
            continue


def _sees(folder: Path, top: bytes) -> bool:
    if folder.stat().st_uid != os.geteuid():
        return False
    lines = (folder / "mountinfo").read_bytes().splitlines()
    return any(_OURS in line and unescape(line.split(b" ")[4]).startswith(top) for line in lines)


def _above(folder: Path) -> int:
    """The number of the user namespace in which that of a process was made."""
    with (folder / "ns/user").open("rb") as theirs:
        above = fcntl.ioctl(theirs, _PARENT)
    try:
        return os.fstat(above).st_ino
    finally:
        os.close(above)


def _join(folder: Path) -> bool:
    """Enter the namespaces of a process, unless it has ended meanwhile."""
    try:
        with (folder / "ns/user").open("rb") as user, (folder / "ns/mnt").open("rb") as mounts:
            if _libc.setns(user.fileno(), _NEWUSER) != 0:
                return False
            if _libc.setns(mounts.fileno(), _NEWNS) != 0:
                why = os.strerror(ctypes.get_errno())
                raise Unavailable(f"the namespace of process {folder.name} cannot be joined: {why}")
    except OSError:
        return False
    return True
