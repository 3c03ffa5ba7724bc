"""A tree and its index moved on to another commit by what differs, however much is in them.

git's `read-tree -m -u` reads, compares and writes the whole index: at 100,000 files most of what a
fork would cost. Here git says what differs and writes out those files; in the index their entries
alone are exchanged.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from muster.domain.errors import GitFailed
from muster.whole_file import write_parts
from muster.workspace.base import Source
from muster.workspace.difference import ABSENT, Entry, differing_files
from muster.workspace.entries import GITLINK, Index, Marks, Unreadable, facts
from muster.workspace.entries import Entry as Indexed
from muster.workspace.git import SLOW, Git, Place

_MOST = 4096
"""Where more paths differ, what they cost is more than the index."""

_REMEMBERED = 8
"""Commits whose marks are remembered."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TELLING = (2, 3, 5, 9)
"""Of git's facts of a file those that tell it from another: its time of change, inode and size."""


class Steps:
    """Moves trees on; remembers where in the index of a commit its entries are."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._marks: dict[str, Marks] = {}

    def take(self, source: Source, place: Place, start: str, commit: str) -> bool:
        """Bring a tree and its index, which are as at `start`, to `commit`.

        False, and nothing was touched, when only git can.

        Raises:
            GitFailed: something that is in no commit is in the way, or the disk is full.
        """
        assert place.index is not None
        assert place.work_tree is not None
        changed = differing_files(self._git, source.mirror, source.kept, start, commit)
        links = f"{GITLINK:o}"
        if len(changed) > _MOST or any(links in {e.old_mode, e.new_mode} for e in changed):
            return False
        try:
            index = Index(place.index.read_bytes(), start)
            marks = self._marks_of(start, index)
            notes = index.notes(marks, (os.fsencode(entry.path) for entry in changed))
        except Unreadable:
            return False
        if not all(_is_as_known(index, marks, place.work_tree, entry) for entry in changed):
            return False
        try:
            _remove(place.work_tree, [entry for entry in changed if not entry.is_new])
            new = [entry for entry in changed if entry.new_mode != ABSENT]
            self._write(place, index, new)
            put: dict[bytes, bytes | None] = {os.fsencode(entry.path): None for entry in changed}
            put |= _described(index, place.work_tree, new)
            write_parts(place.index, index.exchanged(marks, put, notes))
        except OSError as error:
            raise GitFailed(
                f"the files could not be moved on to {commit[:12]}: {error.strerror}",
                hint="is the disk full?",
            ) from error
        return True

    def _marks_of(self, commit: str, index: Index) -> Marks:
        found = self._marks.get(commit)
        if found is None:
            found = index.marks()
            while len(self._marks) >= _REMEMBERED:
                self._marks.pop(next(iter(self._marks)), None)
            self._marks[commit] = found
        return found

    def _write(self, place: Place, index: Index, new: Sequence[Entry]) -> None:
        """Let git write out some files, which no others may be in the way of."""
        if not new:
            return
        assert place.index is not None
        few = place.index.with_name(f"{place.index.name}-{secrets.token_hex(4)}")
        entries = {os.fsencode(e.path): e for e in new}
        made = (
            index.made(path, int(entry.new_mode, 8), bytes.fromhex(entry.new), None)
            for path, entry in sorted(entries.items())
        )
        few.write_bytes(index.of(made))
        try:
            there = Place(place.git_dir, place.work_tree, few)
            self._git.run(there, "checkout-index", "--all", seconds=SLOW)
        finally:
            few.unlink()


def _is_as_known(index: Index, marks: Marks, tree: Path, entry: Entry) -> bool:
    """Whether a path is in the index as in the first commit, and in the tree as in the index."""
    path = os.fsencode(entry.path)
    known = index.find(marks, path)
    if not isinstance(known, Indexed):
        return entry.is_new
    if (known.id.hex(), f"{known.mode:06o}") != (entry.old, entry.old_mode):
        return False
    try:
        with _folder_of(tree, path) as (folder, name):
            found = facts(os.lstat(name, dir_fd=folder), known.mode)
    except OSError:
        return False
    return all(found[number] == known.facts[number] for number in _TELLING)


def _remove(tree: Path, entries: Sequence[Entry]) -> None:
    """Remove files, and the folders that nothing is left in."""
    for entry in entries:
        with _folder_of(tree, os.fsencode(entry.path)) as (folder, name):
            os.unlink(name, dir_fd=folder)
    for entry in entries:
        for above in (tree / entry.path).parents:
            if above == tree or entry.new_mode != ABSENT or not _is_removed(above):
                break


def _is_removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _described(index: Index, tree: Path, new: Sequence[Entry]) -> dict[bytes, bytes]:
    """The entries of files that were written just now."""
    return {
        (path := os.fsencode(entry.path)): index.made(
            path, int(entry.new_mode, 8), bytes.fromhex(entry.new), (tree / entry.path).lstat()
        )
        for entry in new
    }


@contextmanager
def _folder_of(tree: Path, path: bytes) -> Iterator[tuple[int, bytes]]:
    """The open folder of a path, and its name in it; no link on the way is followed."""
    *folders, name = path.split(b"/")
    at = os.open(tree, _FOLDER)
    try:
        for folder in folders:
            above, at = at, os.open(folder, _FOLDER, dir_fd=at)
            os.close(above)
        yield at, name
    finally:
        os.close(at)
