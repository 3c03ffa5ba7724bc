"""git's record of some files turned into one of their copies, without reading any of them.

git trusts a file that has the time, the inode and the size it knows, and reads any other. A copy
has another inode and another time of change: so that the first look at a workspace need not read
all of it, each entry gets what its copy has. The contents are known to be the same.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from muster.domain.errors import GitFailed
from muster.workspace.records import write_whole

_HEADER = struct.Struct(">4sII")
_FACTS = struct.Struct(">10I")
"""Seconds and nanoseconds of ctime and mtime, device, inode, mode, owner, group, size."""
_LENGTH, _EXTENDED = 0x0FFF, 0x4000
_GITLINK = 0o160000
_KNOWN = {2, 3}
"""Versions of the format whose entries hold whole paths."""
_SHA256 = 64


def restat(index: Path, tree: Path, to: Path, commit: str) -> None:
    """Write an index like `index`, which is of `commit`, whose entries describe the copy `tree`.

    Raises:
        GitFailed: the index is in a form that git does not write for muster.
    """
    data = bytearray(index.read_bytes())
    magic, version, count = _HEADER.unpack_from(data)
    if magic != b"DIRC" or version not in _KNOWN:
        raise GitFailed(f"{index} is no index that muster can read", hint=f"remove {index.parent}")
    id_size = len(commit) // 2
    at = _HEADER.size
    for _ in range(count):
        at = _restat_entry(data, at, os.fsencode(tree), id_size)
    body = bytes(data[:-id_size])
    # git's own check against damage, no secret's.
    digest = hashlib.sha256(body) if len(commit) == _SHA256 else hashlib.sha1(body)  # noqa: S324
    write_whole(to, body + digest.digest(), sync=False)


def _restat_entry(data: bytearray, at: int, tree: bytes, id_size: int) -> int:
    """Renew one entry; where the next begins."""
    flags_at = at + _FACTS.size + id_size
    flags = int.from_bytes(data[flags_at : flags_at + 2], "big")
    name_at = flags_at + (4 if flags & _EXTENDED else 2)
    end = name_at + (flags & _LENGTH)
    if flags & _LENGTH == _LENGTH:
        end = data.index(b"\0", name_at)
    mode = _FACTS.unpack_from(data, at)[6]
    if mode != _GITLINK:
        found = os.lstat(tree + b"/" + bytes(data[name_at:end]))
        _FACTS.pack_into(data, at, *_facts(found, mode))
    return at + (end - at + 8) // 8 * 8


def _facts(found: os.stat_result, mode: int) -> list[int]:
    return [
        *(part & 0xFFFFFFFF for part in divmod(found.st_ctime_ns, 10**9)),
        *(part & 0xFFFFFFFF for part in divmod(found.st_mtime_ns, 10**9)),
        found.st_dev & 0xFFFFFFFF,
        found.st_ino & 0xFFFFFFFF,
        mode,
        found.st_uid,
        found.st_gid,
        found.st_size & 0xFFFFFFFF,
    ]
