"""A repository's own settings file: what it says, and what of that counts.

It is a stranger's. What it says about commands, containment, proof and merging counts only in a
version that a person trusts: the one that was there when they trusted the repository, and each that
they let muster merge since. Of another version what was trusted before goes on to count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from muster.domain.errors import Invalid
from muster.settings import (
    NEEDS_TRUST,
    parse_agents,
    parse_project_settings,
    parse_toml,
    plain_value,
)

OWN_FILE = ".muster/config.toml"
OWN_FOLDERS: Mapping[str, tuple[str, str, int]] = {
    "playbooks": (".muster/playbooks", ".yaml", 50),
    "prompts": (".muster/prompts", ".j2", 100),
}
"""A repository's folders of small files: where, how their names end, and how many are read."""
_AGENTS = "agents"
_BESIDE = ("trusted_rules",)
"""What is kept with the settings and is none of this file: the trust in the file of rules."""
_MOST_VERSIONS = 50
"""How many trusted versions are remembered; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class OwnFile:
    """The file at one commit: what counts unasked, and what only a trusted version may say."""

    free: Mapping[str, Any] = field(default_factory=dict)
    guarded: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What trust is given to: all that needs it, however it is written down."""
        return hashlib.sha256(json.dumps(self.guarded, sort_keys=True).encode()).hexdigest()

    def is_trusted(self, trusted: str, counts: Mapping[str, Any]) -> bool:
        """Whether it counts whole, beside the versions `trusted` and what counts so far."""
        return bool(trusted) and (
            self.digest in trusted.split() or dict(self.guarded) == guarded_of(counts)
        )

    def counting(self, trusted: str, counts: Mapping[str, Any]) -> dict[str, Any]:
        """What counts of it: all of a trusted version; of another what counts so far."""
        known = self.is_trusted(trusted, counts)
        beside = {name: counts[name] for name in _BESIDE if name in counts}
        return {**self.free, **(self.guarded if known else guarded_of(counts)), **beside}


_NO_FOLDERS: Mapping[str, Mapping[str, str]] = {}


def parse_own_file(data: bytes, folders: Mapping[str, Mapping[str, str]] = _NO_FOLDERS) -> OwnFile:
    """What a settings file says; no file says nothing.

    `folders` are the files of `OWN_FOLDERS` as texts. What is wrong with one is said when it is
    used.

    Raises:
        Invalid: it is too large, not TOML, or names what no project has; the message names it.
    """
    document = parse_toml(data, OWN_FILE)
    agents = parse_agents(document.pop(_AGENTS, {}), OWN_FILE)
    # As the database gives it back, which knows no times.
    agents = json.loads(json.dumps(agents, default=str))
    try:
        checked = parse_project_settings(document)
    except Invalid as error:
        raise Invalid(f"{OWN_FILE}: {error.detail}", hint=error.hint) from error
    parsed = {name: plain_value(value) for name, value in checked.items()}
    free = {name: value for name, value in parsed.items() if name not in NEEDS_TRUST}
    guarded = {name: value for name, value in parsed.items() if name in NEEDS_TRUST}
    beside = {_AGENTS: agents, **{name: dict(sorted(f.items())) for name, f in folders.items()}}
    return OwnFile(free, guarded | {name: value for name, value in beside.items() if value})


def guarded_of(counts: Mapping[str, Any]) -> dict[str, Any]:
    """The part of what counts that only a trusted version may say."""
    return {k: v for k, v in counts.items() if k in NEEDS_TRUST or k in {_AGENTS, *OWN_FOLDERS}}


def trusting_also(trusted: str, digest: str) -> str:
    """The versions that are trusted when one is added; the newest is last."""
    others = [known for known in trusted.split() if known != digest]
    return " ".join([*others, digest][-_MOST_VERSIONS:])
