"""An agent at work that is shown by tmux."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from terminals.places import TALKS, Place, working


@pytest.fixture
async def tmux(home: Path) -> AsyncIterator[Place]:
    async with working(home, TALKS, "tmux") as place:
        yield place
