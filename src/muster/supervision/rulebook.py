"""The rules that are in force for each project, read once for each text of their files.

Three layers: what muster brings along, `breakpoints.yaml` in the home, and the repository's own
`.muster/breakpoints.yaml` at a commit, which changes rules of the others only when it is trusted.
Of a file with faults the last good text stays in force, also after a restart: it is kept below
`rules/` in the home.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from muster.domain.errors import Invalid
from muster.supervision.condition import Condition, Fault
from muster.supervision.rules import Ruleset, Source
from muster.supervision.rules_file import built_in, read_rules
from muster.supervision.rules_yaml import LARGEST
from muster.whole_file import write_whole

FILE = ".muster/breakpoints.yaml"
HOME_FILE = "breakpoints.yaml"
_MOST_KNOWN = 256
_UNREAD = b"not read yet"
_LOOK_AGAIN = 1.0
"""Seconds for which the home's file is taken to be as it was."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules that hold now; `faults` are those of files that are not used, by file.

    `digest` is of the repository's file as it is at the commit, empty when there is none.
    """

    rules: Ruleset
    faults: Mapping[str, tuple[Fault, ...]]
    digest: str = ""


def digest_of(text: bytes) -> str:
    """What a version of a rules file is trusted by: SHA-256, in hex."""
    return hashlib.sha256(text).hexdigest()


class RuleBook:
    """Knows the rules of every project; may be asked from any thread."""

    def __init__(self, conditions: Mapping[str, Condition], home: Path) -> None:
        """Read nothing yet."""
        self.conditions = conditions
        self._home = home
        self._lock = threading.Lock()
        self._texts: dict[tuple[str, str], bytes | None] = {}
        self._read: dict[tuple[object, ...], InForce] = {}
        self._looked_at = float("-inf")
        self._home_text: bytes | None = None
        self._told: set[tuple[str, ...]] = set()
        self._own: Ruleset | None = None
        self._home_layer_of: tuple[bytes | None, InForce] | None = None

    def knows(self, project: str, commit: str) -> bool:
        """Whether the file at this commit was read before."""
        return (project, commit) in self._texts

    def rules(
        self, project: str, commit: str, trusted: str, read: Callable[[], bytes | None]
    ) -> InForce:
        """What is in force for a project at a commit; `read` gives its file there, if need be.

        `trusted` is the digest of the text that a person trusted, empty for none.
        """
        key = (project, commit)
        known = self._texts.get(key, _UNREAD)
        text = read() if known is _UNREAD else known
        with self._lock:
            if key not in self._texts and len(self._texts) >= _MOST_KNOWN:
                self._texts.pop(next(iter(self._texts)))
            self._texts[key] = text
            return self._in_force(project, text, trusted)

    def are_news(self, project: str, found: InForce) -> bool:
        """Whether these faults were not told yet since the start, and count as told from now on."""
        told = (project, found.digest, *(str(f) for all_ in found.faults.values() for f in all_))
        with self._lock:
            news = bool(found.faults) and told not in self._told
            if news:
                self._told.add(told)
            return news

    def check(self, text: bytes, *, project: bool) -> tuple[Fault, ...]:
        """The faults of a file that is not in force (yet)."""
        with self._lock:
            below = self._home_layer().rules if project else self._built_in()
        source = Source.PROJECT if project else Source.HOME
        return read_rules(text, self.conditions, source=source, below=below).faults

    def tried_home(self, text: bytes) -> tuple[Ruleset, tuple[Fault, ...]]:
        """What would be in force below a project's own file with this text as the home's."""
        with self._lock:
            below = self._built_in()
        return self._tried(text, Source.HOME, below, trusted=True)

    def tried(
        self, text: bytes, below: Ruleset | None, *, trusted: bool
    ) -> tuple[Ruleset, tuple[Fault, ...]]:
        """What would be in force with this text as a project's own; the home's is below it."""
        with self._lock:
            home = self._home_layer().rules if below is None else below
        return self._tried(text, Source.PROJECT, home, trusted=trusted)

    def _tried(
        self, text: bytes, source: Source, below: Ruleset, *, trusted: bool
    ) -> tuple[Ruleset, tuple[Fault, ...]]:
        read = read_rules(text, self.conditions, source=source, below=below)
        return below.with_file(read.rules, read.changes, trusted=trusted), read.faults

    def _in_force(self, project: str, text: bytes | None, trusted: str) -> InForce:
        home = self._home_file()
        key = (project, text, home, trusted)
        if key not in self._read:
            if len(self._read) >= _MOST_KNOWN:
                self._read.clear()
            below = self._home_layer()
            found = self._layer(text, project, (below.rules, trusted))
            self._read[key] = replace(found, faults={**below.faults, **found.faults})
        return self._read[key]

    def _built_in(self) -> Ruleset:
        if self._own is None:
            self._own = built_in(self.conditions)
        return self._own

    def _home_layer(self) -> InForce:
        text = self._home_file()
        if self._home_layer_of is None or self._home_layer_of[0] != text:
            self._home_layer_of = (text, self._layer(text, "home", None))
        return self._home_layer_of[1]

    def _home_file(self) -> bytes | None:
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_AGAIN:
            self._home_text, self._looked_at = _text_of(self._home / HOME_FILE), now
        return self._home_text

    def _layer(self, text: bytes | None, who: str, above: tuple[Ruleset, str] | None) -> InForce:
        """The rules below with those of a file; of the home's, when there is nothing `above`."""
        below, trusted = above or (self._built_in(), "")
        source = Source.PROJECT if above else Source.HOME
        kept = self._home / "rules" / f"{who}.yaml"
        faults: dict[str, tuple[Fault, ...]] = {}
        digest = digest_of(text) if text is not None else ""
        read = read_rules(text or b"", self.conditions, source=source, below=below)
        used = text
        if read.faults:
            faults[FILE if above else str(self._home / HOME_FILE)] = read.faults
            used = _text_of(kept)
            read = read_rules(used or b"", self.conditions, source=source, below=below)
        elif text is not None:
            _keep(kept, text)
        is_trusted = above is None or (used is not None and trusted == digest_of(used))
        rules = below.with_file(read.rules, read.changes, trusted=is_trusted)
        return InForce(rules, faults, digest)


def _text_of(path: Path) -> bytes | None:
    """A file's bytes, cut where they are too many to be read as rules; None when there is none.

    Raises:
        Invalid: it is there and cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Invalid(
            f"{path} cannot be read: {error.strerror}", hint="make it a file that you may read"
        ) from error


def _keep(path: Path, text: bytes) -> None:
    """Keep a good text, whole or not at all."""
    if _text_of(path) == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, text, sync=False)
