"""The plugins of this installation: found by entry point, and the fault of one kept to itself."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Any

from typing_extensions import get_protocol_members

from muster.agents.base import Capabilities, Driver
from muster.domain.errors import Invalid
from muster.domain.plain import plain_line
from muster.runtimes.base import Runtime
from muster.supervision.condition import Condition
from muster.supervision.runner import Runner
from muster.supervision.stage import Stage
from muster.workspace.base import Backend

log = logging.getLogger("muster.wiring")

KINDS = {
    "agents": "driver",
    "runtimes": "runtime",
    "workspaces": "workspace",
    "models": "model",
    "stores": "store",
    "durable": "engine",
    "conditions": "condition",
    "evidence": "stage",
    "notifiers": "notifier",
    "runners": "runner",
    "forges": "forge",
}
"""What is registered under `muster.<group>`, in the words of people."""

_SEAMS: Mapping[str, Any] = {
    "agents": Driver,
    "runtimes": Runtime,
    "workspaces": Backend,
    "conditions": Condition,
    "evidence": Stage,
    "runners": Runner,
}
"""What is made at once and must answer to this; others are made when used, with what they need."""
_OURS = "passmuster"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One that is registered.

    `parts` is what it gives, by name: a driver, one or more places, or how a store is made. Where
    there is a `fault` it gives nothing.
    """

    group: str
    name: str
    distribution: str
    version: str
    parts: Mapping[str, Any] = field(default_factory=dict)
    fault: Exception | SystemExit | None = None

    @property
    def ours(self) -> bool:
        """Whether it is a part of muster."""
        return self.distribution == _OURS

    @property
    def error(self) -> str:
        """Why it gives nothing, in a line; empty when it works."""
        return "" if self.fault is None else why(self.fault)


def why(fault: BaseException) -> str:
    """What a stranger's code raised, in a line."""
    said = plain_line(str(fault))
    return said if isinstance(fault, Invalid) else f"{type(fault).__name__}: {said}"


def find(group: str, home: Path) -> Iterator[Plugin]:
    """All that is registered under `muster.<group>`, ours first; a name is given only once."""
    taken: dict[str, str] = {}
    for entry, distribution, version in _announced(f"muster.{group}"):
        try:
            # What it prints when it is imported is no answer of ours.
            with contextlib.redirect_stdout(sys.stderr):
                parts = _parts(group, entry, home)
            for name in parts:
                if name in taken:
                    raise Invalid(f"the name '{name}' is taken by {taken[name]}")
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - a stranger's code; it is told
            yield Plugin(group, entry.name, distribution, version, fault=fault)
        else:
            taken |= dict.fromkeys(parts, distribution)
            yield Plugin(group, entry.name, distribution, version, parts)


def working(group: str, home: Path) -> dict[str, Any]:
    """What the plugins of a group give, by name; one that is broken is left out with a warning.

    Raises:
        Exception: whatever a part of muster itself raised.
    """
    found: dict[str, Any] = {}
    for plugin in find(group, home):
        if plugin.fault is not None and plugin.ours:
            raise plugin.fault
        if plugin.fault is not None:
            said = (KINDS[group], plain_line(plugin.name), plugin.distribution, plugin.error)
            log.warning("the %s '%s' of %s is left out: %s", *said)
        found |= plugin.parts
    return found


def when_named(group: str, home: Path) -> dict[str, Callable[[], Any]]:
    """The same by name, each loaded when it is first called for; a broken one gives None then."""
    found: dict[str, Callable[[], Any]] = {}
    for entry, distribution, _ in _announced(f"muster.{group}"):
        if entry.name not in found:
            found[entry.name] = cache(partial(_one, group, entry, distribution, home))
    return found


def _one(group: str, entry: EntryPoint, distribution: str, home: Path) -> Any:
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return _parts(group, entry, home)[entry.name]
    except (Exception, SystemExit) as fault:
        if distribution == _OURS:
            raise
        said = (KINDS[group], plain_line(entry.name), distribution, why(fault))
        log.warning("the %s '%s' of %s is left out: %s", *said)
        return None


def listed(home: Path) -> list[dict[str, Any]]:
    """Every plugin as a document: kind, name, where it is from, whether it works, what it can."""
    return [_shown(plugin) for group in KINDS for plugin in find(group, home)]


def _shown(plugin: Plugin) -> dict[str, Any]:
    return {
        "kind": KINDS[plugin.group],
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "loads": plugin.fault is None,
        "error": plugin.error,
        "capabilities": sorted({c for part in plugin.parts.values() for c in _can(plugin, part)}),
        "gives": list(plugin.parts),
    }


def _can(plugin: Plugin, part: Any) -> Iterator[str]:
    """What it can do beyond what all of its kind can."""
    if plugin.group == "agents":
        yield from (name for name, can in asdict(part.capabilities).items() if can)
    if plugin.group == "runtimes":
        yield from (verb for verb in ("attach", "sweep") if hasattr(part, verb))


def _announced(group: str) -> list[tuple[EntryPoint, str, str]]:
    """The entry points of a group with the name and version of their distribution, ours first."""
    found = [(entry, *_source(entry.dist)) for entry in _all().select(group=group)]
    return sorted(found, key=lambda one: (one[1] != _OURS, one[0].name, one[1]))


@cache
def _all() -> Any:
    """Every entry point there is, in a shape that Pythons differ in; finding them takes long."""
    return entry_points()


@cache
def _source(distribution: Distribution | None) -> tuple[str, str]:
    if distribution is None:
        return "", ""
    return plain_line(distribution.name), plain_line(distribution.version)


def _parts(group: str, entry: EntryPoint, home: Path) -> dict[str, Any]:
    """Load it and make what it stands for."""
    made = entry.load()
    if not callable(made):
        raise Invalid(f"{entry.value} cannot be called, so that nothing can be made of it")
    if group not in _SEAMS:
        return {entry.name: made}
    several = getattr(made, "places", None) if group == "runtimes" else None
    parts = several(home) if several else {entry.name: made()}
    for part in parts.values():
        missing = sorted(n for n in get_protocol_members(_SEAMS[group]) if not hasattr(part, n))
        if missing:
            raise Invalid(f"it is no {KINDS[group]}: it has no {', '.join(missing)}")
        if group == "agents" and not isinstance(part.capabilities, Capabilities):
            raise Invalid("its capabilities are no muster.agents.base.Capabilities")
    return dict(parts)
