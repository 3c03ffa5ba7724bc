"""The server is killed at random moments while clients submit; nothing is lost or stuck."""

from __future__ import annotations

import os
import random

import pytest

from chaos.driver import run

LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("agents_too", [False, True])
def test_nothing_is_lost_doubled_or_stuck_when_the_server_is_killed(agents_too, request):
    seed = random.SystemRandom().randrange(10**6)
    tasks, kills = (36, 6) if LONG else (12, 3)
    assert run(tasks, kills, seed, agents_too) == []
