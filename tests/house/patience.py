"""How long a test waits for what must come: so long that only a fault makes it wait in vain.

Machines are noisy. No test asks how long something took; it asks what it waited for, and how often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.05


async def until(true: Callable[[], Any]) -> Any:
    """Wait for something that no event tells of; what it returned."""
    deadline, pause = time.monotonic() + PATIENCE, _FIRST_PAUSE
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return value
