"""Files of a commit put into a folder by the control plane's git."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from muster.domain.guard import commit_id
from muster.workspace.base import Source
from muster.workspace.git import SLOW, Git, Place
from muster.workspace.records import sync_disk, write_record
from muster.workspace.remove import remove_own

_SPARE = 3
"""So many bases stay for the next workspace, whether anything stands on them or not."""

_BACK_SECONDS = 10.0
_DAY = 86_400.0
"""Seconds after which a draft was left by a crash and not by a slow disk."""

_RECORD = "checkout.json"
"""What a base has when it is whole."""

INDEX = "index"

_GUARD = threading.Lock()
_MAKING: dict[Path, threading.Lock] = {}
"""One lock per base, whichever backend asks: they share the bases."""


def check_out(git: Git, mirror: Path, commit: str, tree: Path, index: Path) -> None:
    """Fill the empty folder `tree` with the files of `commit`; `index` becomes git's record of it.

    No filter, hook or attribute file of anybody's configuration takes part.

    Raises:
        GitFailed: the commit is not in the mirror, or the disk is full.
    """
    tree.mkdir(exist_ok=True)
    place = Place(mirror, tree, index)
    git.run(place, "read-tree", "--reset", "-u", commit_id(commit), seconds=SLOW)


class Bases:
    """The immutable checkouts that workspaces share, one per commit, each made once.

    A base is built beside its place and renamed into it, so that one which is there is whole. Its
    files are dated back: git trusts a time and a size that it knows, so a file that an agent
    rewrites within the second of the checkout, to the same length, must not keep its time.
    """

    def __init__(self, git: Git, make_folder: Callable[[Path], None] = Path.mkdir) -> None:
        """`make_folder` makes the folder that a checkout's files go into."""
        self._git = git
        self._make_folder = make_folder

    def find(self, source: Source, commit: str) -> Path | None:
        """The base of `commit`, if it is there."""
        base = source.bases / commit_id(commit)
        return base if (base / _RECORD).exists() else None

    @contextmanager
    def hold(self, source: Source, commit: str) -> Iterator[Path]:
        """The base of `commit`, made if need be; it is not pruned while it is held.

        Raises:
            GitFailed: the commit is not in the mirror, or the disk is full.
        """
        base = source.bases / commit_id(commit)
        with self._one_at_a_time(base):
            if self.find(source, commit) is None:
                self._make(source, commit, base)
            base.touch()
            yield base

    def prune(self, source: Source, in_use: Callable[[], set[Path]]) -> None:
        """Remove the bases that were not used for longest; nothing that a workspace stands on."""
        old = self.recent(source)[_SPARE:]
        used = in_use() if old else set()
        for base in [base for base in old if base not in used]:
            with self._one_at_a_time(base):
                # Asked under the lock: who holds a base has said so in its record by then.
                if base.exists() and base not in in_use():
                    doomed = base.with_name(f".old-{secrets.token_hex(6)}")
                    base.rename(doomed)
                    remove_own(doomed)
        for draft in source.bases.glob(".*"):
            if _last_use(draft) < time.time() - _DAY:
                remove_own(draft)

    def recent(self, source: Source) -> list[Path]:
        """The bases that are there, the one used last first."""
        whole = (path.parent for path in source.bases.glob(f"[!.]*/{_RECORD}"))
        return sorted(whole, key=_last_use, reverse=True)

    def _make(self, source: Source, commit: str, base: Path) -> None:
        source.bases.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = Path(mkdtemp(prefix=".new-", dir=source.bases))
        try:
            self._make_folder(draft / "tree")
            check_out(self._git, source.mirror, commit, draft / "tree", draft / INDEX)
            self._date_back(Place(source.mirror, draft / "tree", draft / INDEX))
            write_record(draft / _RECORD, {"commit": commit}, sync=False)
            # A base that is there is taken for whole, so it may not lose files with the machine.
            sync_disk(draft)
            draft.rename(base)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def _date_back(self, place: Place) -> None:
        then = time.time() - _BACK_SECONDS
        assert place.work_tree is not None
        for folder, _, names in os.walk(place.work_tree):
            for name in names:
                os.utime(Path(folder) / name, (then, then), follow_symlinks=False)
        self._git.run(place, "update-index", "-q", "--refresh", seconds=SLOW)

    @contextmanager
    def _one_at_a_time(self, base: Path) -> Iterator[None]:
        with _GUARD:
            lock = _MAKING.setdefault(base, threading.Lock())
        with lock:
            yield


def _last_use(base: Path) -> float:
    try:
        return base.stat().st_mtime
    except FileNotFoundError:
        # Another thread has just removed it.
        return time.time()


def copy_index(index: Path, to: Path) -> None:
    """Copy an index with its time, by which git knows which entries it must not trust."""
    shutil.copy2(index, to)
