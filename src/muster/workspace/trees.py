"""A tree with a few paths changed, byte for byte as git would write it.

A change of some files is three objects or so; git's index and two processes would take twenty times
as long. Whatever is not plain is left to git: attributes that may convert contents, names that git
might refuse, large files, many paths.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from muster.domain.errors import GitFailed
from muster.workspace.mirror import Mirror
from muster.workspace.objects import store_object

_MOST_PATHS = 32
_LARGEST = 1024 * 1024
_ATTRIBUTES = ".gitattributes"
_PLAIN = re.compile(r"(?!\.+$)[\w .,+@=%()#!&-]+", re.ASCII)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TREE, _REGULAR, _EXECUTABLE, _LINK = b"40000", b"100644", b"100755", b"120000"


@dataclass(slots=True)
class _Folder:
    """What changes in one folder: files as they are now (None: gone), and folders below it."""

    files: dict[str, tuple[bytes, bytes] | None] = field(default_factory=dict)
    folders: dict[str, _Folder] = field(default_factory=dict)


class _NotPlain(Exception):
    """Only git can say what the tree would be."""


def edited_tree(
    mirror: Mirror, base: str, tree: Path, index: Path, present: Sequence[str], gone: Sequence[str]
) -> str | None:
    """The id of the tree `base` with `present` as these files are below `tree`, without `gone`.

    `index` describes `base`. None, and nothing but a few objects was written, when git has to be
    asked.

    Raises:
        GitFailed: a tree cannot be read.
        OSError: the disk is full.
    """
    paths = [*present, *gone]
    if len(paths) > _MOST_PATHS or not all(map(_is_plain, paths)):
        return None
    if os.fsencode(_ATTRIBUTES) in index.read_bytes() or _has_attributes(tree, present):
        return None
    top = _Folder()
    try:
        for path in gone:
            _below(top, path).files[path.rpartition("/")[2]] = None
        for path in present:
            _below(top, path).files[path.rpartition("/")[2]] = _read(tree, path)
        return _write(mirror, base, top) or store_object(mirror, "tree", b"")
    except _NotPlain:
        return None


def _is_plain(path: str) -> bool:
    """Whether every git takes this path as it is; those of git's own files are left to it."""
    parts = path.split("/")
    return all(_PLAIN.fullmatch(part) and not part.lower().startswith(".git") for part in parts)


def _has_attributes(tree: Path, present: Sequence[str]) -> bool:
    folders = {folder for path in present for folder in _above(path)}
    return any(os.path.lexists(tree / folder / _ATTRIBUTES) for folder in folders)


def _above(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path


def _below(top: _Folder, path: str) -> _Folder:
    folder = top
    for part in path.split("/")[:-1]:
        folder = folder.folders.setdefault(part, _Folder())
    return folder


def _read(tree: Path, path: str) -> tuple[bytes, bytes]:
    """The mode and the content of a file; no link on the way is followed."""
    *folders, name = path.split("/")
    at = -1
    try:
        at = os.open(tree, _FOLDER)
        for folder in folders:
            above, at = at, os.open(folder, _FOLDER, dir_fd=at)
            os.close(above)
        if stat.S_ISLNK(os.lstat(name, dir_fd=at).st_mode):
            return _LINK, os.fsencode(os.readlink(name, dir_fd=at))
        with open(os.open(name, _FILE, dir_fd=at), "rb") as file:  # noqa: PTH123  # by its handle
            found = os.fstat(file.fileno())
            data = file.read(_LARGEST + 1) if stat.S_ISREG(found.st_mode) else None
    except OSError as error:
        raise _NotPlain from error
    finally:
        if at >= 0:
            os.close(at)
    if data is None or len(data) > _LARGEST:
        raise _NotPlain
    return (_EXECUTABLE if found.st_mode & 0o100 else _REGULAR), data


def _write(mirror: Mirror, base: str | None, change: _Folder) -> str | None:
    """Write a folder as it is after its change; None when nothing is left in it."""
    entries = dict(_entries(mirror, base)) if base else {}
    for name, file in change.files.items():
        if file is None:
            entries.pop(os.fsencode(name), None)
    for name, below in change.folders.items():
        key = os.fsencode(name)
        mode, id = entries.pop(key, (b"", b""))
        made = _write(mirror, id.hex() if mode == _TREE else None, below)
        if made:
            entries[key] = (_TREE, bytes.fromhex(made))
        elif mode not in {b"", _TREE}:
            entries[key] = (mode, id)
    for name, file in change.files.items():
        if file is not None:
            mode, data = file
            id = bytes.fromhex(store_object(mirror, "blob", data))
            entries[os.fsencode(name)] = (mode, id)
    if not entries:
        return None
    lines = (b"%s %s\0%s" % (mode, name, id) for name, (mode, id) in _sorted(entries))
    return store_object(mirror, "tree", b"".join(lines))


def files_in(mirror: Mirror, commit: str, folder: str, most: int) -> tuple[str, ...]:
    """The names of the ordinary files right in a folder of a commit; none where it has none."""
    found = mirror.objects.info(f"{commit}:{folder}")
    if found is None or found.kind != "tree":
        mirror.tree_of(commit)
        return ()
    names = (
        name for name, (mode, _) in _entries(mirror, found.id) if mode in {_REGULAR, _EXECUTABLE}
    )
    return tuple(os.fsdecode(name) for name in islice(names, most))


def _sorted(entries: dict[bytes, tuple[bytes, bytes]]) -> list[tuple[bytes, tuple[bytes, bytes]]]:
    """In git's order: a folder as if its name ended in a slash."""
    return sorted(entries.items(), key=lambda e: e[0] + b"/" if e[1][0] == _TREE else e[0])


def _entries(mirror: Mirror, tree: str) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
    """Names with modes and ids, as the tree has them."""
    found = mirror.objects.read(tree)
    if found is None or found[0].kind != "tree":
        raise GitFailed(f"the tree {tree} cannot be read", hint="is the disk damaged?")
    data, at, size = found[1], 0, len(tree) // 2
    while at < len(data):
        mode, _, rest = data[at : (end := data.index(b"\0", at))].partition(b" ")
        yield rest, (mode, data[end + 1 : end + 1 + size])
        at = end + 1 + size
