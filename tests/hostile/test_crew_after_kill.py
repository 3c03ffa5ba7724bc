"""The server is killed right after each event that leads a task on; each agent runs but once.

`make bench-crew` kills a walk of its own at each boundary; here one walk dies at all of them.
"""

from __future__ import annotations

from pathlib import Path

from walks.cases import WALKS
from walks.field import go

CREW = next(walk for walk in WALKS if walk.name == "crew")


def test_a_walk_that_dies_at_each_of_its_events_ends_like_any_other(tmp_path: Path) -> None:
    first, *dying = [f"event.{kind}" for kind in CREW.story]
    came = go(tmp_path, CREW, first, dying)
    assert came.faults(CREW) == []
    assert came.kills == len(CREW.story)
