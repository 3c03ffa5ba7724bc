"""A coder who looks everywhere finds the acceptance tests that it may know, and no others."""

from __future__ import annotations

import pytest

from engine.houses import shell
from engine.test_acceptance import BASKET, DOES, WISH, WRITES
from mcp_door.streets import street

PRIES = """
{ env; find / -xdev \\( -name '*test_ten*' -o -name '*test_odd*' \\) 2>/dev/null
  grep -rls 'MARKED' "$HOME" "$MUSTER_MAILBOX" /tmp .
  git log --all --format=%H; git for-each-ref; git fsck --lost-found
  for object in $(git cat-file --batch-all-objects --batch-check='%(objectname)'); do
    git cat-file -p $object; done
  cat $(git rev-parse --git-path objects/info/alternates)
  ls {home}/workspaces/repos {home}/runs {home}/muster.db
} > /tmp/loot 2>&1
python3 - >> /tmp/loot 2>&1 <<'END'
import json, os, urllib.request
def call(method, **params):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"Authorization": "Bearer " + os.environ["MUSTER_TOKEN"],
               "Content-Type": "application/json",
               "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(
        os.environ["MUSTER_URL"] + "/mcp", json.dumps(body).encode(), headers)
    return urllib.request.urlopen(request).read().decode()
def tool(name, **arguments):
    try:
        print(name, call("tools/call", name=name, arguments=arguments))
    except Exception as error:
        print(name, error)
print(call("tools/list"))
tool("claim_work")
tool("search_context", query="MARKED")
tool("locks")
for path in ("tasks", "tasks/1", "tasks/2", "tasks/2/diff", "events"):
    try:
        address = os.environ["MUSTER_URL"] + "/api/" + path
        head = {"Authorization": "Bearer " + os.environ["MUSTER_TOKEN"]}
        print(urllib.request.urlopen(urllib.request.Request(address, headers=head)).read())
    except Exception as error:
        print(path, error)
END
cp /tmp/loot loot.txt
"""


@pytest.mark.needs_bubblewrap
async def test_hidden_ones_are_in_no_file_no_object_and_no_answer(tmp_path):
    coder = PRIES.replace("{home}", str(tmp_path / "home")) + DOES
    agents = {"writer": shell(WRITES), "coder": shell(coder)}
    async with street(
        tmp_path, agents, files=BASKET, runtime="sandbox", acceptance_tests="on",
        acceptance_agent="writer", test_command="python3 -S -E -B run_all.py",
    ) as here:  # fmt: skip
        task = await here.place.do("coder", WISH, autonomy="full")
        assert task["status"] == "completed", task["reason"]
        (agent,) = task["agents"]
        loot = here.place.house.workspaces.read_file(
            task["project_id"], task["result_commit"], "loot.txt"
        ).decode("utf-8", "replace")
    (shown,), (hidden,) = task["acceptance"]["visible"], task["acceptance"]["hidden"]
    words = {"tests/test_ten.py": ("MARKED-ten", "test_ten"),
             "tests/test_odd.py": ("MARKED-odd", "test_odd")}  # fmt: skip
    # It did see something: the door told it what it may know, and git what it stands on.
    assert "claim_work" in loot
    assert words[shown][0] in loot
    assert "def test_total" in loot
    for word in words[hidden]:
        assert word not in loot.replace(f"'*{word}*'", ""), agent["id"]
