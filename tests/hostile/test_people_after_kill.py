"""The server is killed just where a person gets a token: there is one that is told of, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostile.servers import Done, muster, settings


def up(home: Path, dying: str = "") -> None:
    env = {"MUSTER_FAILPOINTS": dying} if dying else {}
    done = muster(home, "up", "--detach", "--port", "0", env=env)
    assert done.code == 0, done.err


def tokens(home: Path, *line: str) -> Done:
    return muster(home, "token", *line, "--json")


@pytest.mark.long
def test_a_token_whose_answer_was_lost_in_a_kill_is_listed_and_can_be_ended(home: Path):
    settings(home, "disk_floor_mb = 1\n")
    up(home, dying="token.kept")
    try:
        assert tokens(home, "create", "anna", "--role", "lead").code == 6
        up(home)
        (kept,) = tokens(home, "list").json["items"]
        assert (kept["name"], kept["state"], kept["used_at"]) == ("anna", "living", None)
        assert tokens(home, "create", "anna").code == 5
        assert tokens(home, "revoke", "anna").json["state"] == "revoked"
        made = tokens(home, "create", "anna", "--role", "lead").json
        as_anna = {"MUSTER_TOKEN": made["token"]}
        assert muster(home, "task", "list", env=as_anna).code == 0
        assert muster(home, "token", "list", env=as_anna).code == 4
    finally:
        muster(home, "down")
