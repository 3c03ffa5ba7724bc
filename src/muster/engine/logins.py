"""The sign-in of a person, lent to a contained agent: these files, and nothing else of their home.

The file itself is shown, and the agent's configuration folder has a link to it. What a program
writes to it is written there, so that a token that was renewed is not lost, and all agents and the
person go on with the same one: a copy would be worthless as soon as one of them renews it. A
program that puts another file in the link's place has its own brought home when it has ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from muster.domain.redact import SHORTEST
from muster.engine.foreign import read_small
from muster.engine.resume import make_room

_LENT = "logins.json"
_LARGEST = 256 * 1024
_SECRET_WORDS = ("token", "key", "secret")


def lend(logins: Mapping[Path, Path], home: Path, run_dir: Path) -> dict[str, set[str]]:
    """Put the links into an agent's home; the files to show, each with the secrets in it."""
    lent = {at: own.resolve() for at, own in logins.items() if own.is_file()}
    note = {}
    for at, own in lent.items():
        make_room(home, at)
        at.symlink_to(own)
        note[str(at.parent.resolve() / at.name)] = str(own)
    if lent:
        (run_dir / _LENT).write_text(json.dumps(note), "utf-8")
    return {str(own): set(_secrets(_document(own))) for own in lent.values()}


def bring_home(run_dir: Path) -> list[str]:
    """Take back what a program put in a link's place, where it is a sign-in; the files changed."""
    try:
        lent = json.loads((run_dir / _LENT).read_text("utf-8"))
    except FileNotFoundError:
        return []
    changed = [own for at, own in lent.items() if _bring(Path(at), Path(own))]
    (run_dir / _LENT).unlink()
    return changed


def _bring(at: Path, own: Path) -> bool:
    if at.parent.resolve() != at.parent:  # a link that the program made leads elsewhere
        return False
    there, here = _document(at), _document(own)
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


def _document(path: Path) -> Any:
    """What an ordinary file says as JSON; None for a link and for anything else."""
    data = read_small(path, _LARGEST)
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return None


def _secrets(said: Any, name: str = "") -> Iterator[str]:
    if isinstance(said, dict):
        for key, value in said.items():
            yield from _secrets(value, key)
    elif isinstance(said, str) and any(word in name.lower() for word in _SECRET_WORDS):
        yield from [said] if len(said.strip()) >= SHORTEST else []
