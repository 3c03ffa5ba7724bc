"""A plugin of pytest that has `muster_seen` measure which tests execute which lines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import muster_seen
import pytest

SEEN = muster_seen.Seen()
SEEN.start()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    """Tell the tests apart, with what each has set up for it."""
    began = time.perf_counter()
    SEEN.now(item.nodeid)
    yield
    SEEN.now("")
    SEEN.seconds[item.nodeid] = round(time.perf_counter() - began, 3)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: Any) -> None:
    """Leave what was seen; workers of pytest-xdist have ended when their head does."""
    if hasattr(config, "workerinput"):
        SEEN.write(muster_seen.GIVEN / f"part-{os.getpid()}.json")
        return
    for part in muster_seen.GIVEN.glob("part-*.json"):
        SEEN.parts.append(json.loads(part.read_text("utf-8")))
    SEEN.write(muster_seen.REPORT)
