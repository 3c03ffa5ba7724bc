"""Where agents run unless somebody says: contained, where this machine can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from muster.runtimes.base import Runtime

CONTAINED, PLAIN = "sandbox", "process"
_MEND = "install bubblewrap 0.8 or newer and allow user namespaces, then start muster again"


@dataclass(frozen=True, slots=True)
class Usual:
    """The place of runs that name none; `why` says why it does not contain them, if it does not."""

    name: str
    how: str
    why: str = ""

    @property
    def mend(self) -> str:
        """What to do so that it contains them; empty when it does."""
        return _MEND if self.why else ""

    def told(self) -> str:
        """It in a sentence for a person."""
        if self.why:
            return f"agents run in `{self.name}` by default: not contained, because {self.why}"
        return f"agents run in `{self.name}` by default: {self.how}"


def choose(places: Mapping[str, Runtime]) -> Usual:
    """The sandbox where it works, which it tries, else plain processes."""
    contained = places.get(CONTAINED)
    why = contained.available() if contained else f"there is no runtime '{CONTAINED}'"
    if contained and not why:
        return Usual(CONTAINED, contained.describe())
    return Usual(PLAIN, places[PLAIN].describe(), why)
