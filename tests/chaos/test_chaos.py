"""The server is killed at random moments while clients submit; nothing is lost or stuck."""

from __future__ import annotations

import random

import pytest

from chaos.driver import run


@pytest.mark.timeout(400)
@pytest.mark.parametrize("agents_too", [False, True])
def test_nothing_is_lost_doubled_or_stuck_when_the_server_is_killed(agents_too, request):
    seed = random.SystemRandom().randrange(10**6)
    assert run(tasks=36, kills=6, seed=seed, agents_too=agents_too) == []
