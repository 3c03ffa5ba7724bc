"""git's index as bytes: where its entries lie, and the same index with a few of them exchanged.

Its layout is git's documented one (gitformat-index), versions 2 and 3: entries in the order of
their paths, then extensions, then a digest of it all. What has any other form is left to git.
"""

from __future__ import annotations

import hashlib
import os
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

FACTS = struct.Struct(">10I")
"""Seconds and nanoseconds of ctime and mtime, device, inode, mode, owner, group, size."""
GITLINK = 0o160000

_HEADER = struct.Struct(">4sII")
_EXTENSION = struct.Struct(">4sI")
_MAGIC = b"DIRC"
_KNOWN = {2, 3}
"""Versions whose entries hold whole paths."""
_LENGTH, _EXTENDED = 0x0FFF, 0x4000
_TREES = b"TREE"
_SHA256 = 64
_EVERY = 64
"""From one mark to the next: so many entries are walked over in microseconds."""


class Unreadable(Exception):
    """The index has a form that only git can read, or not what was said to be in it."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Where some entries begin, with their paths, and where the last one ends."""

    paths: tuple[bytes, ...]
    starts: tuple[int, ...]
    end: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its bytes begin at `at` and end before `end`."""

    at: int
    end: int
    path: bytes
    mode: int
    id: bytes
    facts: tuple[int, ...]


class Index:
    """The bytes of a whole index, of a repository whose ids are as long as that of `commit`.

    Raises:
        Unreadable: it has a form that git does not write for muster.
    """

    def __init__(self, data: bytes | bytearray, commit: str) -> None:
        magic, version, self.count = _HEADER.unpack_from(data)
        if magic != _MAGIC or version not in _KNOWN:
            raise Unreadable
        self._data = data
        self._version = version
        self._id_size = len(commit) // 2
        # git's own check against damage, no secret's.
        self._hash = hashlib.sha256 if len(commit) == _SHA256 else hashlib.sha1

    def starts(self) -> Iterator[int]:
        """Where each entry begins, and at last where the last one ends."""
        data, at = self._data, _HEADER.size
        flags_at = FACTS.size + self._id_size
        for _ in range(self.count):
            yield at
            flags = data[at + flags_at] << 8 | data[at + flags_at + 1]
            length = flags & _LENGTH
            if flags & _EXTENDED or length == _LENGTH:
                at = self._end(at)
            else:
                at += flags_at + 2 + length + 8 & ~7
        yield at

    def marks(self) -> Marks:
        """Walk over all of it; indexes of one commit have the same marks."""
        every = list(self.starts())
        starts = every[:-1:_EVERY]
        return Marks(tuple(map(self.path, starts)), tuple(starts), every[-1])

    def path(self, at: int) -> bytes:
        """The path of the entry that begins at `at`."""
        begin, end = self._name(at)
        return bytes(self._data[begin:end])

    def entry(self, at: int) -> Entry:
        """The entry that begins at `at`."""
        facts = FACTS.unpack_from(self._data, at)
        id = bytes(self._data[at + FACTS.size : at + FACTS.size + self._id_size])
        return Entry(at, self._end(at), self.path(at), facts[6], id, facts)

    def find(self, marks: Marks, path: bytes) -> Entry | int:
        """The entry of a path; else where it would have to begin."""
        before = bisect_right(marks.paths, path) - 1
        at = marks.starts[before] if before >= 0 else _HEADER.size
        while at < marks.end:
            name = self.path(at)
            if name == path:
                return self.entry(at)
            if name > path:
                break
            at = self._end(at)
        return at

    def notes(self, marks: Marks, changed: Iterable[bytes]) -> bytes:
        """What git notes behind the entries: of the trees above what has changed, that it is stale.

        What else is noted there only speeds git up, and is left out.

        Raises:
            Unreadable: it must not be left out.
        """
        data, at, kept = self._data, marks.end, b""
        while at < len(data) - self._id_size:
            name, size = _EXTENSION.unpack_from(data, at)
            at += _EXTENSION.size
            if name == _TREES:
                trees = _made_stale(bytes(data[at : at + size]), _folders(changed), self._id_size)
                kept = _EXTENSION.pack(name, len(trees)) + trees
            elif not name[:1].isupper():
                raise Unreadable
            at += size
        return kept

    def exchanged(
        self, marks: Marks, put: Mapping[bytes, bytes | None], notes: bytes
    ) -> Iterator[bytes | memoryview]:
        """The same index with some entries exchanged, part by part; what is None goes."""
        entries, count = self._entries(marks, put)
        digest = self._hash()
        for part in (_HEADER.pack(_MAGIC, self._version, count), *entries, notes):
            digest.update(part)
            yield part
        yield digest.digest()

    def made(self, path: bytes, mode: int, id: bytes, found: os.stat_result | None) -> bytes:
        """An entry for a file, with what was found of it."""
        stated = facts(found, mode) if found else [0] * 6 + [mode] + [0] * 3
        flags = min(len(path), _LENGTH).to_bytes(2, "big")
        entry = FACTS.pack(*stated) + id + flags + path
        return entry + b"\0" * (8 - len(entry) % 8)

    def of(self, entries: Iterable[bytes]) -> bytes:
        """An index of nothing but these entries, which are in the order of their paths."""
        listed = list(entries)
        body = b"".join([_HEADER.pack(_MAGIC, 2, len(listed)), *listed])
        return body + self._hash(body).digest()

    def sealed(self) -> bytes:
        """All of it, as its bytes are now, with the digest that belongs to them."""
        body = bytes(self._data[: -self._id_size])
        return body + self._hash(body).digest()

    def _entries(
        self, marks: Marks, put: Mapping[bytes, bytes | None]
    ) -> tuple[list[memoryview | bytes], int]:
        whole, done, count = memoryview(self._data), _HEADER.size, self.count
        pieces: list[memoryview | bytes] = []
        for path in sorted(put):
            found, new = self.find(marks, path), put[path]
            begin, end = (found, found) if isinstance(found, int) else (found.at, found.end)
            pieces.append(whole[done:begin])
            if new is not None:
                pieces.append(new)
            count += (new is not None) - (end > begin)
            done = end
        return [*pieces, whole[done : marks.end]], count

    def _end(self, at: int) -> int:
        _, end = self._name(at)
        return at + (end - at + 8) // 8 * 8

    def _name(self, at: int) -> tuple[int, int]:
        flags_at = at + FACTS.size + self._id_size
        flags = int.from_bytes(self._data[flags_at : flags_at + 2], "big")
        begin = flags_at + (4 if flags & _EXTENDED else 2)
        if flags & _LENGTH < _LENGTH:
            return begin, begin + (flags & _LENGTH)
        return begin, self._data.index(b"\0", begin)


def facts(found: os.stat_result, mode: int) -> list[int]:
    """What git keeps of a file, by which it knows it unchanged, as `FACTS` has it."""
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


def _folders(paths: Iterable[bytes]) -> set[bytes]:
    """Every folder above some paths, that of all of them too."""
    found = {b""}
    for path in paths:
        while (path := path.rpartition(b"/")[0]) and path not in found:
            found.add(path)
    return found


def _made_stale(noted: bytes, stale: set[bytes], id_size: int) -> bytes:
    """Git's notes on trees, in which those of the folders in `stale` say that they do not hold.

    A note is its folder's name, how many entries are below it (-1 when it does not hold), how many
    notes on folders in it follow, and, where it holds, the id of its tree.
    """
    pieces: list[bytes] = []
    above: list[tuple[bytes, int]] = []
    at = 0
    while at < len(noted):
        name_end = noted.index(b"\0", at)
        line_end = noted.index(b"\n", name_end)
        count, _, below = noted[name_end + 1 : line_end].partition(b" ")
        end = line_end + 1 + (0 if count.startswith(b"-") else id_size)
        path = (above[-1][0] if above else b"") + noted[at:name_end]
        if path in stale:
            pieces.append(noted[at : name_end + 1] + b"-1 " + below + b"\n")
        else:
            pieces.append(noted[at:end])
        if above:
            above[-1] = above[-1][0], above[-1][1] - 1
        if int(below):
            above.append((path + b"/" if path else b"", int(below)))
        while above and above[-1][1] == 0:
            above.pop()
        at = end
    return b"".join(pieces)
