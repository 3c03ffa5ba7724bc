"""The folder of event files: what was dropped there is claimed, read, then removed or laid aside.

    NAME.json   an event, renamed into the folder; names with a leading dot, `.part` and `.tmp` are
                drafts
    taken/      those that were claimed: a file that is there is this server's alone, and its new
                name is never used again, so that the store can tell whether it is kept already
    rejected/   what was no good, with the reason beside it

All calls block. What is on its way from one folder to another is on the disk before anybody relies
on it, so that a machine that dies loses and doubles nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from muster.domain.errors import Invalid, Unavailable
from muster.domain.outside import OutsideFact, outside_fact
from muster.engine.boxes import document_in, folder_at, rests, write_new
from muster.failpoint import failpoint

log = logging.getLogger("muster.engine")

MOST_REJECTED = 1000
MOST_LISTED = 20_000
_TAKEN, _REJECTED, _REASON = "taken", "rejected", ".reason.txt"
_NAMED = re.compile(r"(\d{20}-[0-9a-f]{12})~(.+)", re.DOTALL)
_DRAFTS = (".part", ".tmp")
_STALE_DRAFT = 3600.0
_LONGEST_NAME = 200
_MOST_TOLD = 100
_OTHERS = 20
"""So many files that are no events make a folder one that is used for something else."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file that was looked at: the fact in it, or why there is none.

    `key` is what the store knows it by, `file` what it is called in `taken`; what was not even
    claimed is where it was.
    """

    key: str
    name: str
    file: str
    fact: OutsideFact | None = None
    refused: str = ""
    claimed: bool = True


@dataclass(frozen=True, slots=True)
class Listing:
    """Names to look at: `taken` were claimed before, `came` are new, and of these are `more`."""

    taken: Sequence[str] = ()
    came: Sequence[str] = ()
    more: bool = False


@dataclass(slots=True)
class _Opened:
    top: int
    taken: int
    rejected: int


class DropFolder:
    """One folder, for one server; another one that has the same folder waits until it is let go."""

    def __init__(self, path: Path, most_rejected: int = MOST_REJECTED) -> None:
        """Know where it is, and how much of what is laid aside is kept."""
        self.path = path
        self._most_rejected = most_rejected
        self._lock: int | None = None
        self._stuck: set[str] = set()

    def close(self) -> None:
        """Let another server have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def look(self) -> Listing:
        """What lies there, in the order of its names, as far as it is listed at once.

        Raises:
            Unavailable: the folder cannot be used, or is another server's.
            Invalid: it is used for something else.
        """
        self._make()
        with self._opened() as at:
            self._hold(at.taken)
            with os.scandir(at.taken) as entries:
                taken = sorted(entry.name for entry in entries)
            with os.scandir(at.top) as entries:
                names = sorted(e.name for e in islice(entries, MOST_LISTED))
            own = {_TAKEN, _REJECTED}
            came = [n for n in names if n not in own and not _is_waiting_draft(n, at.top)]
            return Listing(taken, came, len(names) == MOST_LISTED and bool(came))

    def keys_of(self, files: Sequence[str]) -> list[str]:
        """The keys of files that were claimed before; what is not among them is gone for good."""
        with self._opened() as at:
            _sync(at.taken)
        return [match[1] for file in files if (match := _NAMED.fullmatch(file))]

    def claim(self, names: Sequence[str]) -> list[Dropped]:
        """Make new files this server's, each under a name of its own, and read them."""
        with self._opened() as at:
            found = [each for name in names if (each := self._claim(name, at)) is not None]
            _sync(at.taken, at.top)
            failpoint("drop.claimed")
            unfit = [each for each in found if not each.claimed]
            return [*unfit, *_read_all((each for each in found if each.claimed), at.taken)]

    def read(self, files: Sequence[str]) -> list[Dropped]:
        """Read files that were claimed before; those that may not be whole yet are left out."""
        with self._opened() as at:
            known = [_NAMED.fullmatch(file) for file in files]
            named = (Dropped(m[1], m[2], m[0]) for m in known if m)
            found = _read_all(named, at.taken)
            why = f"it was put into {_TAKEN}, which is muster's own"
            strange = (file for file, match in zip(files, known, strict=True) if not match)
            return [*found, *(Dropped(_new_key(), f, f, refused=why) for f in strange)]

    def clear(self, files: Iterable[Dropped]) -> list[str]:
        """Remove files whose facts are kept; the keys of those that are gone for good."""
        gone = []
        with self._opened() as at:
            for each in files:
                failpoint("drop.clearing")
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(each.file, dir_fd=at.taken)
                gone.append(each.key)
            _sync(at.taken)
        return gone

    def reject(self, files: Iterable[Dropped], why: Mapping[str, str]) -> None:
        """Lay files aside, `why` by their keys beside them; of those before only some are kept."""
        with self._opened() as at:
            for each in files:
                source = at.taken if each.claimed else at.top
                _lay_aside(each, why[each.key], source, at.rejected)
            _prune(at.rejected, self._most_rejected)

    def _make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.path.lexists(self.path / _TAKEN):
                _refuse_used(self.path)
            for name in (_TAKEN, _REJECTED):
                (self.path / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"the folder of event files {self.path} cannot be used: {error.strerror}",
                hint="make it a folder that muster may write to, or name another as event_dir",
            ) from error

    @contextlib.contextmanager
    def _opened(self) -> Iterator[_Opened]:
        with contextlib.ExitStack() as stack:
            # The folder itself is the person's own word, and may be a link.
            top = folder_at(self.path.resolve(), None, stack)
            taken, rejected = (
                None if top is None else folder_at(name, top, stack) for name in (_TAKEN, _REJECTED)
            )
            if top is None or taken is None or rejected is None:
                raise Unavailable(
                    f"{self.path} is no folder with {_TAKEN} and {_REJECTED} in it",
                    hint="remove what stands in their place; they are made again",
                )
            yield _Opened(top, taken, rejected)

    def _hold(self, taken: int) -> None:
        """Keep other servers away from what this one has claimed."""
        if self._lock is not None:
            if os.path.samestat(os.fstat(self._lock), os.fstat(taken)):
                return
            self.close()
        lock = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=taken)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise Unavailable(
                f"another muster takes the event files of {self.path}",
                hint="give each server an event_dir of its own",
            ) from error
        self._lock = lock

    def _claim(self, name: str, at: _Opened) -> Dropped | None:
        """Make a file this server's, if it may be an event; None when that cannot be."""
        key = _new_key()
        file = f"{key}~{_short(name)}"
        try:
            found = os.stat(name, dir_fd=at.top, follow_symlinks=False)
            why = _unfit(name, found)
            if why:
                return Dropped(key, name, name, refused=why, claimed=False)
            os.rename(name, file, src_dir_fd=at.top, dst_dir_fd=at.taken)
        except FileNotFoundError:  # whoever put it there took it back
            return None
        except PermissionError as error:
            self._tell_stuck(name, error)
            return None
        return Dropped(key, name, file)

    def _tell_stuck(self, name: str, error: OSError) -> None:
        """Say once of a file that it is not ours to move; it is tried again and again."""
        if name not in self._stuck and len(self._stuck) < _MOST_TOLD:
            self._stuck.add(name)
            log.warning("the event file %r cannot be taken: %s", name, error.strerror)


def _new_key() -> str:
    """A name that was never used, in the order of time."""
    return f"{time.time_ns():020d}-{secrets.token_hex(6)}"


def _is_draft(name: str) -> bool:
    return name.startswith(".") or name.endswith(_DRAFTS)


def _is_waiting_draft(name: str, folder: int) -> bool:
    """Whether somebody may still be at work on it; a folder with a leading dot is left alone."""
    if not _is_draft(name):
        return False
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return True
    return stat.S_ISDIR(found.st_mode) or time.time() - found.st_mtime < _STALE_DRAFT


def _unfit(name: str, found: os.stat_result) -> str:
    """Why a file is no event, as far as one can see without reading it; empty when it may be."""
    if _is_draft(name):
        return "it is a draft that nobody has finished for an hour"
    if not stat.S_ISREG(found.st_mode):
        return "it is no ordinary file"
    if not name.endswith(".json"):
        return "its name does not end in .json"
    return ""


def _read_all(files: Iterable[Dropped], taken: int) -> list[Dropped]:
    return [read for each in files if (read := _read(each, taken)) is not None]


def _read(each: Dropped, taken: int) -> Dropped | None:
    """The file with what it says; None when it may not be whole yet, or is gone."""
    why, document = "", {}
    try:
        document = document_in(each.file, taken)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = f"it cannot be read: {error.strerror}"
    except Invalid as no:
        if _is_being_written(each.file, taken):
            return None
        why = no.detail
    try:
        fact = None if why else outside_fact(document)
    except Invalid as no:
        fact, why = None, f"{no.detail}. {no.hint}"
    return Dropped(each.key, each.name, each.file, fact, why)


def _is_being_written(file: str, taken: int) -> bool:
    try:
        return not rests(os.stat(file, dir_fd=taken, follow_symlinks=False))
    except OSError:
        return False


def _lay_aside(each: Dropped, why: str, source: int, rejected: int) -> None:
    """Move a file away from where it lies; what cannot be moved stays there."""
    name = _short(each.name)
    if _is_there(name, rejected) or _is_there(f"{name}{_REASON}{_REASON}", rejected):
        name = f"{each.key}-{name}"
    reason = f"{name}{_REASON}"
    with contextlib.suppress(OSError):
        # The reason first: a file that lies there has one.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(reason, dir_fd=rejected)
        write_new(reason, f"{why}\n", rejected)
        os.rename(each.file, name, src_dir_fd=source, dst_dir_fd=rejected)


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _prune(rejected: int, most: int) -> None:
    """Remove the oldest of what was laid aside, beyond so many."""
    with os.scandir(rejected) as entries:
        names = {entry.name for entry in entries}
    reasons = [n for n in names if n.endswith(_REASON) and n.removesuffix(_REASON) in names]
    if len(reasons) <= most:
        return
    at = {n: os.stat(n, dir_fd=rejected, follow_symlinks=False).st_mtime_ns for n in reasons}
    for reason in sorted(reasons, key=lambda n: at[n])[: len(reasons) - most]:
        _remove(reason.removesuffix(_REASON), rejected)
        _remove(reason, rejected)


def _remove(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            shutil.rmtree(name, dir_fd=folder)


def _refuse_used(path: Path) -> None:
    """Refuse to begin in a folder that somebody uses for something else: all in it would be moved.

    Raises:
        Invalid: there are folders in it, or many files that are no events.
    """
    others = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name == _REJECTED or _is_draft(entry.name) or entry.name.endswith(".json"):
                continue
            others.append(entry.name)
            if len(others) > _OTHERS or entry.is_dir(follow_symlinks=False):
                raise Invalid(
                    f"{path} holds other things than event files, as '{entry.name:.100}'",
                    hint="name a folder of its own as event_dir",
                )


def _short(name: str) -> str:
    """A name that still fits where something is put before and behind it."""
    data = os.fsencode(name)
    return name if len(data) <= _LONGEST_NAME else os.fsdecode(data[:_LONGEST_NAME])


def _sync(*folders: int) -> None:
    """Let the names in these be on the disk."""
    for folder in folders:
        os.fsync(folder)
