"""Real programs that a service tells to come back in an hour: muster waits for it, not they."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.two_way_programs import PROGRAMS
from engine.houses import town
from engine.test_silence import parked
from model_server.server import ModelServer
from muster.domain.agent import Outcome

HOUR = {
    "status": 429,
    "message": "Rate limit reached. Please retry in 200.5s.",
    "headers": {"retry-after": "3600"},
}
TELLS = {"claude", "codex", "opencode"}
"""Who gives up at once, or says what it waits for; of others only their silence is known."""


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=getattr(pytest.mark, f"needs_{name}")) for name in PROGRAMS]
)
async def test_a_limit_that_a_program_waits_out_uses_up_no_try(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = PROGRAMS[name]
    with ModelServer({"hour": [HOUR]}) as model:
        for variable, value in program.environ.items():
            monkeypatch.setenv(variable, value.replace("{url}", model.url))
        async with town(tmp_path, {}, test_command="true") as place:
            place.house.tools.idle_seconds = 15.0
            wish = {"type": "chore", "model": program.model} if program.model else {"type": "chore"}
            made = await place.submit(name, "Wait. [[script:hour]]", **wish)
            task = await parked(place, made["id"], 240)
            (agent,) = task["agents"]
            known = Outcome.RATE_LIMITED if name in TELLS else Outcome.UNAVAILABLE
            assert agent["outcome"] == known, agent
            assert task["tries"] == 0
