"""The sign-in of a person, lent to a contained agent: these files, and nothing else of their home.

The agent's configuration folder has a second name of the very file (a hard link). What a program
writes to it is written there, so that a token that was renewed is not lost, and all agents and the
person go on with the same one: a copy would be worthless as soon as one of them renews it. A
program that puts another file in its place has its own brought home when it has ended, unless
somebody else renewed the person's meanwhile. Where the two lie on different file systems the file
itself is shown, by a symbolic link; some programs refuse to read a sign-in through one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.engine.foreign import read_small
from muster.engine.resume import make_room

_LENT = "logins.json"
_LARGEST = 256 * 1024
_SHORTEST_SECRET = 12  # `token_type` is no secret
_SECRET_WORDS = ("token", "key", "secret")


@dataclass(frozen=True, slots=True)
class Lent:
    """What an agent was lent: secrets to be hidden, and the files that must be shown for it."""

    secrets: frozenset[str] = frozenset()
    shown: tuple[str, ...] = ()


def lend(logins: Mapping[Path, Path], home: Path, run_dir: Path) -> Lent:
    """Put the sign-in into an agent's home, as far as it is there, and note what it was."""
    there = {at: own.resolve() for at, own in logins.items() if own.is_file()}
    note, secrets, shown = {}, set[str](), list[str]()
    for at, own in there.items():
        make_room(home, at)
        try:
            at.hardlink_to(own)
        except OSError:  # they lie on different file systems
            at.symlink_to(own)
            shown.append(str(own))
        data = read_small(own, _LARGEST)
        secrets |= set(_secrets(_document(data)))
        note[str(at.parent.resolve() / at.name)] = [str(own), _digest(data)]
    if note:
        (run_dir / _LENT).write_text(json.dumps(note), "utf-8")
    return Lent(frozenset(secrets), tuple(shown))


def bring_home(run_dir: Path) -> list[str]:
    """Take it all back, with what a program put in its place; the files that changed by that."""
    try:
        note = json.loads((run_dir / _LENT).read_text("utf-8"))
    except FileNotFoundError:
        return []
    changed = []
    for at, own, was in ((Path(at), Path(own), was) for at, (own, was) in note.items()):
        if at.parent.resolve() != at.parent:  # a link that the program made leads elsewhere
            continue
        changed += [str(own)] if _bring(at, own, was) else []
        with suppress(OSError):  # a folder, or gone: then it is none of what was lent
            at.unlink()
    (run_dir / _LENT).unlink()
    return changed


def _bring(at: Path, own: Path, was: str) -> bool:
    new, old = read_small(at, _LARGEST), read_small(own, _LARGEST)
    if new in {None, old} or _digest(old) != was:
        return False
    there, here = _document(new), _document(old)
    if not isinstance(there, dict) or not isinstance(here, dict) or not set(here) <= set(there):
        return False
    draft = own.with_name(f"{own.name}.muster")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:
        json.dump(there, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(own)
    return True


def _digest(data: bytes | None) -> str:
    return hashlib.sha256(data or b"").hexdigest()


def _document(data: bytes | None) -> Any:
    """What a file says as JSON; None where it is none."""
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return None


def _secrets(said: Any, name: str = "") -> Iterator[str]:
    if isinstance(said, dict):
        for key, value in said.items():
            yield from _secrets(value, key)
    elif isinstance(said, str) and any(word in name.lower() for word in _SECRET_WORDS):
        yield from [said] if len(said.strip()) >= _SHORTEST_SECRET else []
