"""The door from where agents run: it is reached from inside, with the agent's own token alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.houses import shell
from mcp_door.streets import street

CALLS = """
import json, os, urllib.error, urllib.request

def call(token, name, **given):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    body["params"] = {"name": name, "arguments": given}
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    asked = urllib.request.Request(
        os.environ["MUSTER_URL"] + "/mcp", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)["result"]["structuredContent"]
    except urllib.error.HTTPError as error:
        return error.code

print(call("x" * 43, "claim_work"))
print(call(os.environ["MUSTER_TOKEN"], "claim_work")["label"])
print(call(os.environ["MUSTER_TOKEN"], "report_progress", text="from inside"))
event = os.path.join(os.environ["MUSTER_MAILBOX"], "events", "1")
open(event + ".part", "w").write('{"type": "own.file"}')
os.rename(event + ".part", event + ".json")
open("made.txt", "w").write("made")
"""


async def goes(root: Path, runtime: str) -> None:
    """An agent in this place tries another token, then its own, then its mailbox."""
    agents = {"calls": shell(f"exec python3 - <<'END'\n{CALLS}\nEND")}
    async with street(root, agents, runtime=runtime, test_command="true") as here:
        task = await here.place.do("calls", type="chore", autonomy="full")
        assert task["status"] == "completed", task["reason"]
        (agent,) = task["agents"]
        out = (here.place.run_dir(agent["id"]) / "out").read_text()
        assert out.splitlines() == ["401", task["label"], "{'noted': True}"]
        facts = (await here.place.service.list_events(0, type="agent.fact"))["items"]
        said = [fact["payload"].get("progress") for fact in facts]
        assert "from inside" in said
        assert len((await here.place.service.list_events(0, type="own.file"))["items"]) == 1


@pytest.mark.parametrize(
    "runtime", ["process", pytest.param("sandbox", marks=pytest.mark.needs_bubblewrap)]
)
async def test_an_agent_reaches_its_own_task_from_the_place_it_runs_in(tmp_path, runtime):
    await goes(tmp_path, runtime)


@pytest.mark.needs_docker
@pytest.mark.usefixtures("docker_engine")
async def test_an_agent_reaches_its_own_task_from_a_container(tmp_path):
    await goes(tmp_path, "docker")
