"""The server is killed between keeping what an agent's file says and removing the file."""

from __future__ import annotations

import json
import time
from pathlib import Path

from engine.houses import CALC, make_repo
from hostile.mortal import mortal
from hostile.servers import PATIENCE, muster, settings

SAYS = """
echo x > made.txt
cd "$MUSTER_MAILBOX/events"
for n in 1 2 3; do
    printf '{"type": "own.kind", "payload": {"n": %s}}' $n > $n.part && mv $n.part $n.json
done
while [ ! -e ../go ]; do sleep 0.05; done
"""


def test_what_an_agent_says_by_files_is_kept_once_through_a_kill(home: Path, tmp_path: Path):
    repo = make_repo(tmp_path / "repo", CALC)
    command = json.dumps(["/bin/sh", "-c", SAYS])
    settings(
        home,
        'disk_floor_mb = 1\nruntime = "process"\nautonomy = "full"\n'
        f'[agents.says]\ndriver = "command"\ncommand = {command}\n',
    )
    with mortal(home) as server:
        server.up("mailbox.kept=2")
        assert muster(home, "init", ".", "--yes", "--test", "true", cwd=repo).code == 0
        made = server.said(lambda c: c.create_task("repo", "Say it.", agent="says", type="chore"))
        server.dead("mailbox.kept")
        (box,) = home.glob("runs/*/agent/mailbox/events")
        assert len(list(box.iterdir())) == 2, "one file was kept and removed, one only kept"
        server.up()
        deadline = time.monotonic() + PATIENCE
        while list(box.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (box.parent / "go").touch()
        server.until(made["id"], "completed", "failed", "waiting")
        found = server.said(lambda c: c.list_events(type="own.kind"))["items"]
        assert sorted(event["payload"]["n"] for event in found) == [1, 2, 3]
