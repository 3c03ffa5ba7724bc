"""The seam of notifiers: one notice in, delivered or not.

A notifier is made once for each `[notify.NAME]` of the settings, by calling its class with the
options there and the server's environment; what it cannot take it refuses with `Invalid`. Waiting,
trying again and keeping what was delivered are not its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

from muster.domain.errors import Invalid

OWN_OPTIONS = frozenset({"driver", "on"})
"""What every notifier has in the settings, and none has to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What somebody is told.

    `id` is the same however often one notice is tried. `kind` is that of the event it tells of,
    `payload` the event's own. Title and text hold words of agents and repositories: they are data
    to whoever shows them.
    """

    id: str
    kind: str
    time: str
    title: str
    text: str
    project: str = ""
    task: str = ""
    url: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The notice as documents carry it."""
        return asdict(self) | {"payload": dict(self.payload)}


class Undelivered(Exception):
    """A notice did not arrive; `again` says that another try can help, `after` in how many seconds.

    Its text is why, in a line.
    """

    def __init__(self, why: str, *, again: bool, after: float | None = None) -> None:
        """Say why, and whether it can help to try again."""
        super().__init__(why)
        self.again = again
        self.after = after


@runtime_checkable
class Notifier(Protocol):
    """One way to tell somebody."""

    async def send(self, notice: Notice) -> None:
        """Deliver a notice; when this returns, it was taken.

        It never blocks the loop, comes to an end by itself within seconds, and leaves nothing
        behind when it is cancelled.

        Raises:
            Undelivered: it was not taken.
        """
        ...


def refuse_unknown(options: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raise `Invalid`, listing what there is, for an option that nothing reads."""
    unknown = sorted(set(options) - known - OWN_OPTIONS)
    if unknown:
        names = ", ".join(sorted(known | OWN_OPTIONS))
        raise Invalid(f"there is no option '{unknown[0]}'", hint=f"options: {names}")
