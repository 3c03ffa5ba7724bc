"""What became of judged work: whether it was right, as what happened afterwards shows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Shown(StrEnum):
    """What shows it."""

    STAYED = "stayed"
    REVERTED = "reverted"
    FIXED = "fixed"
    REFUSED = "refused"
    SAID = "said"


@dataclass(frozen=True, slots=True)
class Sign:
    """That work was right or wrong, what shows it, in words, and who said so."""

    right: bool
    shown: Shown
    why: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The outcome of one verdict; a stronger one takes its place, and a person's word any.

    `confidence` is what was said of the work when it was judged; None where muster abstained.
    """

    verdict_id: str
    task_id: str
    project_id: str
    attempt: int
    right: bool
    shown: Shown
    why: str
    by: str | None
    confidence: float | None
    created_at: int
    rev: int = 0

    def gives_way(self, shown: Shown) -> bool:
        """Whether something of another kind that is found later takes its place."""
        return _STRENGTH[shown] >= _STRENGTH[self.shown]


_STRENGTH = {
    Shown.STAYED: 0,
    Shown.REFUSED: 1,
    Shown.FIXED: 2,
    Shown.REVERTED: 2,
    Shown.SAID: 3,
}
