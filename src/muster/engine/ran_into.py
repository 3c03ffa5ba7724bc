"""What a run ran into, told as events of its task: its limits, and what it was kept from."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from muster.domain.event import NewEvent
from muster.engine.tools import Job, Tools, in_thread
from muster.runtimes.base import Exit
from muster.runtimes.refusals import NETWORK, Refusal, read_refusals
from muster.runtimes.refusals import REFUSED as FILE
from muster.store import events
from muster.store.base import Tx

MOST_REFUSALS = 20
LIMIT, REFUSED, KEPT = "limit.reached", "network.refused", "access.refused"
Told = tuple[str, str | int, str | int]
"""An event of something that was refused, and by what it is known as the same."""
_LIMITS = {
    "memory": "processes of it were killed, because it used more memory than memory_mb allows",
    "processes": "it was refused more processes than it may have at a time: `processes`",
    "file": "it was ended because a file grew larger than it may be",
    "disk": "it was ended because it wrote more to the disk than disk_mb allows",
}


def limits_reached(exit_: Exit) -> Iterator[Mapping[str, Any]]:
    """The limits that a run ran into, also where it went on all the same."""
    for limit in exit_.limits:
        yield {"limit": limit, "text": _LIMITS.get(limit, "")}


def refused(
    found: Iterable[Refusal], told: Container[Told] = ()
) -> Iterator[tuple[Told, Mapping[str, Any]]]:
    """What is to be told of these that was not `told` yet, each once; the caller bounds it."""
    new: dict[Told, Mapping[str, Any]] = {}
    for one in found:
        if one.kind == NETWORK:
            new[REFUSED, one.host, one.port] = {"host": one.host, "port": one.port, "why": one.why}
        else:
            said = {"kind": one.kind, "what": one.what, "count": one.count, "why": one.why}
            new[KEPT, one.kind, one.what] = said
    yield from ((key, payload) for key, payload in new.items() if key not in told)


async def tell_of_check(tools: Tools, job: Job, check: str, run_dir: Path, exit_: Exit) -> None:
    """Tell what a check of the repository ran into, once however often it is read."""
    found, _ = await in_thread(read_refusals, run_dir) if (run_dir / FILE).exists() else ([], 0)
    told = [(LIMIT, payload) for payload in limits_reached(exit_)]
    for which in (REFUSED, KEPT):
        kept = [(which, payload) for (kind, *_), payload in refused(found) if kind == which]
        told += kept[:MOST_REFUSALS]
    if told:
        task = job.task
        subject = f"{task.id}-{task.attempt}-{run_dir.name}"
        new = [
            NewEvent(kind, subject, {**payload, "check": check}, task.project_id, task.id)
            for kind, payload in told
        ]
        await tools.store.write(_tell_once, subject, new)


def _tell_once(tx: Tx, subject: str, new: Sequence[NewEvent]) -> None:
    """A server that was started again reads a check that is over once more."""
    if not any(events.count(tx, kind, subject) for kind in (LIMIT, REFUSED, KEPT)):
        for event in new:
            events.append(tx, event)
