"""How a run ended where the way its process ended already decides it."""

from __future__ import annotations

from muster.agents.base import Ending
from muster.domain.agent import Outcome

_BY_WHY = {
    "timeout": Ending(Outcome.TIMEOUT, "the time limit was reached"),
    "stopped": Ending(Outcome.CANCELLED, "stopped on request"),
    "killed": Ending(Outcome.CANCELLED, "killed on request"),
    "memory": Ending(Outcome.CRASHED, "the memory limit was reached"),
    "disk": Ending(Outcome.CRASHED, "the disk limit was reached"),
    "exec": Ending(Outcome.CRASHED, "the program could not be started"),
    "lost": Ending(Outcome.LOST, "nobody saw how the program ended"),
}


def by_why(why: str) -> Ending | None:
    """The ending that `why` decides alone; None when the program ended by itself."""
    return _BY_WHY.get(why)


def status_words(code: int | None) -> str:
    """An exit status in words."""
    if code is None:
        return "ended with an unknown status"
    return f"ended by signal {-code}" if code < 0 else f"ended with status {code}"
