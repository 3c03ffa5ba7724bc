"""The mailbox of one agent: folders in which it says something by files, and finds its task.

    tasks/ID.json    {"id", "prompt"}: its task, put there before it starts
    status/ID.json   {"text", "percent"}: what it does now, replaced as often as it likes
    results/ID.json  {"task_id", "status", "output", "completed_at"}: the outcome in its own words
    events/*.json    {"type", "payload"}: a fact of a kind of its own, taken away once it is kept
    rejected/        what was none of these, with the reason beside it

A manager's has more: what it puts into `tasks` is a worker to be spawned, and in `status` and
`results` it finds a file of each worker's state and outcome, which are not read back.

A file counts once it is renamed into place. All of it is a stranger's, the folders too: no link is
followed, nothing but an ordinary file is read, and nothing is ever waited for.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid
from muster.engine.boxes import document_in, folder_at, rests, write_new
from muster.failpoint import failpoint

MOST = 500
"""Files that are taken or refused in one run; then the mailbox is closed."""

BOXES = ("status", "results", "events")
_TASKS, _REJECTED, _END = "tasks", "rejected", ".json"
_AT_ONCE, _MOST_LOOKED_AT = 20, 5000


@dataclass(frozen=True, slots=True)
class Letter:
    """A file of the mailbox: its document, or why there is none.

    By its `stamp` it is told from another one of the same name.
    """

    box: str
    name: str
    stamp: tuple[int, int, int] = (0, 0, 0)
    document: dict[str, Any] = field(default_factory=dict)
    refused: str = ""


@dataclass(slots=True)
class Mailbox:
    """The mailbox in `folder`, which belongs to an agent at work on the task `label`.

    `manages`: the agent may put tasks into it.
    """

    folder: Path
    label: str
    manages: bool = False
    _seen: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    _taken: int = 0

    @property
    def boxes(self) -> tuple[str, ...]:
        """The folders in which the agent says something."""
        return (_TASKS, *BOXES) if self.manages else BOXES

    def furnish(self, prompt: str, *, travels: bool = False) -> None:
        """Make the folders and put the task in; an empty folder does not travel."""
        for name in (_TASKS, *BOXES):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            if travels:
                (self.folder / name / ".keep").touch()
        task = json.dumps({"id": self.label, "prompt": prompt})
        (self.folder / _TASKS / f"{self.label}{_END}").write_text(task, "utf-8")

    def closed(self) -> bool:
        """Whether nothing more is taken in this run."""
        return self._taken >= MOST

    def empty(self) -> bool:
        """Whether nothing at all lies in it."""
        with contextlib.ExitStack() as stack:
            mailbox = folder_at(self.folder, None, stack)
            for box in self.boxes if mailbox is not None else ():
                folder = folder_at(box, mailbox, stack)
                if folder is not None:
                    with os.scandir(folder) as entries:
                        if next(entries, None) is not None:
                            return False
        return True

    def look(self, last: bool = False) -> list[Letter]:
        """Some of what has come since the last look; with `last` nothing is waited for."""
        found: list[Letter] = []
        with contextlib.ExitStack() as stack:
            mailbox = folder_at(self.folder, None, stack)
            for box in self.boxes if mailbox is not None else ():
                folder = folder_at(box, mailbox, stack)
                if folder is not None:
                    found += self._look_into(box, folder, last)
        return found

    def done(self, letter: Letter) -> None:
        """Take away an event that is kept."""
        if letter.box == "events":
            with self._at(letter.box) as folder, contextlib.suppress(OSError):
                if folder is not None and _is_still(letter, folder):
                    failpoint("mailbox.kept")
                    os.unlink(letter.name, dir_fd=folder)

    def deliver(self, box: str, name: str, document: dict[str, Any]) -> None:
        """Put a file of ours into a box; what cannot be put there is left out."""
        with self._at(box) as folder, contextlib.suppress(OSError):
            if folder is None:
                return
            draft = f".{name}.part"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            write_new(draft, json.dumps(document), folder, 0o644)
            os.rename(draft, f"{name}{_END}", src_dir_fd=folder, dst_dir_fd=folder)

    def reject(self, letter: Letter, why: str) -> None:
        """Lay a file aside, with the reason beside it; one that cannot be moved is left there."""
        with self._at(letter.box) as box, self._at(_REJECTED, make=True) as aside:
            if box is None or aside is None or not _is_still(letter, box):
                return
            name = f"{letter.box}-{letter.name}"
            with contextlib.suppress(OSError):
                os.rename(letter.name, name, src_dir_fd=box, dst_dir_fd=aside)
                write_new(f"{name}.txt", f"{why}\n", aside)

    def _look_into(self, box: str, folder: int, last: bool) -> Iterator[Letter]:
        with os.scandir(folder) as entries:
            names = [e.name for e in islice(entries, _MOST_LOOKED_AT)]
        begun = self._taken
        for name in sorted(n for n in names if self._counts(box, n)):
            if self.closed() or self._taken - begun >= _AT_ONCE:
                return
            letter = self._open(box, name, folder, last)
            if letter is not None:
                # A status only takes the place of the one before it.
                self._taken += box != "status" or bool(letter.refused)
                yield letter

    def _counts(self, box: str, name: str) -> bool:
        if not name.endswith(_END) or name.startswith("."):
            return False
        own = name == f"{self.label}{_END}"
        if self.manages and box in {_TASKS, "status", "results"}:
            # The others of these are what the manager was told.
            return own != (box == _TASKS)
        return True

    def _open(self, box: str, name: str, folder: int, last: bool) -> Letter | None:
        """A file that was not seen like this before; None also when it may not be whole yet."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        stamp = _stamp(found)
        if self._seen.get((box, name)) == stamp:
            return None
        try:
            letter = Letter(box, name, stamp, self._document(box, name, folder))
        except OSError:  # it is gone, or not ours to read
            return None
        except Invalid as no:
            if not last and not rests(found):
                return None
            letter = Letter(box, name, stamp, refused=no.detail)
        self._seen[box, name] = stamp
        return letter

    def _document(self, box: str, name: str, folder: int) -> dict[str, Any]:
        document = document_in(name, folder)
        if box == _TASKS:
            return _errand(document, name)
        own = self.label if box == "results" else None
        if own is not None and document.get("task_id", own) != own:
            raise Invalid(f"its task_id is not {own}, the task of this mailbox")
        if box != "events" and name != f"{self.label}{_END}":
            raise Invalid(f"it is not {self.label}{_END}, the name of this mailbox's task")
        return document

    @contextlib.contextmanager
    def _at(self, box: str, *, make: bool = False) -> Iterator[int | None]:
        with contextlib.ExitStack() as stack:
            mailbox = folder_at(self.folder, None, stack)
            if make and mailbox is not None:
                with contextlib.suppress(OSError):
                    os.mkdir(box, 0o700, dir_fd=mailbox)
            yield None if mailbox is None else folder_at(box, mailbox, stack)


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size


def _is_still(letter: Letter, folder: int) -> bool:
    """Whether it is not another one by now, which was put into its place."""
    try:
        return _stamp(os.stat(letter.name, dir_fd=folder, follow_symlinks=False)) == letter.stamp
    except OSError:
        return False


def _errand(document: dict[str, Any], name: str) -> dict[str, Any]:
    """What a manager asks of a worker; the file's name is the worker's, said inside or not."""
    named = name.removesuffix(_END)
    if document.get("id", named) != named:
        raise Invalid(f"its id is not '{named}', as its file is called")
    return {**document, "id": named}
