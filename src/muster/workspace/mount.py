"""The kernel's overlay mounts, by mount(2): no program, no root helper, a tenth of a millisecond.

Options: `redirect_dir=on`, or `git mv` of a folder fails with EXDEV; `index=off`, so that layers
may be moved; never `volatile`, which loses the layer when the machine stops uncleanly. Without root
in the machine's own user namespace the kernel keeps its notes in attributes of users
(`userxattr`), and then it redirects nothing; asked for `redirect_dir` there, it refuses to mount.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from muster.domain.errors import Unavailable

_NOSUID, _NODEV = 2, 4
_DETACH, _NOFOLLOW = 2, 8
_OPTIONS = {
    "trusted": "redirect_dir=on,index=off,metacopy=off",
    "user": "userxattr,index=off,metacopy=off",
}
_SPECIAL = re.compile(r"[:,\\]")
_ESCAPED = re.compile(rb"[^\w/.-]")
_MOUNTS = Path("/proc/self/mountinfo")

_libc = ctypes.CDLL(None, use_errno=True)


def mount_overlay(
    lower: Sequence[Path], upper: Path, work: Path, at: Path, notes: str = "trusted"
) -> None:
    """Show `lower` (the first on top) with `upper` above it at `at`.

    `notes` says whose attributes the kernel keeps its own notes in: `trusted` ones or those of a
    `user`.

    Raises:
        Unavailable: this system, user or file system cannot; the message has the reason.
    """
    if not sys.platform.startswith("linux"):
        raise Unavailable("overlay mounts exist on Linux only")
    held: list[int] = []
    try:
        names = [_option(path, held) for path in (*lower, upper, work)]
        lowers, (above, beside) = ":".join(names[:-2]), names[-2:]
        options = f"lowerdir={lowers},upperdir={above},workdir={beside},{_OPTIONS[notes]}"
        done = _libc.mount(
            b"muster", os.fsencode(at), b"overlay", _NOSUID | _NODEV, os.fsencode(options)
        )
        if done != 0:
            code = ctypes.get_errno()
            raise Unavailable(f"an overlay cannot be mounted here: {os.strerror(code)}")
    finally:
        for fd in held:
            os.close(fd)


def _option(path: Path, held: list[int]) -> str:
    """A path as the kernel's option parser takes it; one with special characters through a fd."""
    if not _SPECIAL.search(str(path)):
        return str(path)
    held.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    return f"/proc/self/fd/{held[-1]}"


def unmount(at: Path) -> None:
    """Take a mount out of view, also while programs still stand in it."""
    target = os.fsencode(at)
    if _libc.umount2(target, _NOFOLLOW) == 0:
        return
    if _libc.umount2(target, _NOFOLLOW | _DETACH) != 0:
        code = ctypes.get_errno()
        raise Unavailable(f"{at} cannot be unmounted: {os.strerror(code)}")


def is_mounted(at: Path) -> bool:
    """Whether an overlay is mounted at `at`, which is a file system of its own."""
    return os.path.ismount(at)


def mounts_below(folder: Path) -> list[Path]:
    """The mount points at or below `folder`, innermost first."""
    try:
        table = _MOUNTS.read_bytes()
    except OSError:
        return []
    top = os.fsencode(folder)
    if top not in table and not _ESCAPED.search(top):
        return []
    lines = table.splitlines()
    points = [unescape(line.split(b" ")[4]) for line in lines]
    found = [p for p in reversed(points) if p == top or p.startswith(top + b"/")]
    return [Path(os.fsdecode(point)) for point in found]


def unescape(text: bytes) -> bytes:
    """A path as the kernel lists it, with its own spelling of white space, as it is."""
    return re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), text)
