"""`muster debug bundle`: the file is whole, private and never overwritten unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.client.loopback import Loopback, problem


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_bundle_is_saved_here_for_its_owner_alone(run: Run, tmp_path: Path) -> None:
    ended = run("debug", "bundle", "MU-1")
    path = tmp_path / "muster-debug-MU-1.tar.gz"
    assert (ended.code, path.read_text()) == (0, "a bundle")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.name in ended.out
    assert "Collecting what is known of MU-1" in ended.err
    assert list(tmp_path.iterdir()) == [path]


def test_json_names_the_file(run: Run, tmp_path: Path) -> None:
    ended = run("debug", "bundle", "MU-1", "--output", "b.tar.gz", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == {
        "task": "tsk_1", "file": str(tmp_path / "b.tar.gz"), "bytes": 8,
    }  # fmt: skip


def test_a_file_that_is_there_stays_unless_forced(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_text("mine")
    refused = run("debug", "bundle", "MU-1", "-o", "b.tar.gz")
    assert (refused.code, path.read_text()) == (5, "mine")
    assert "--force" in refused.err
    assert run("debug", "bundle", "MU-1", "-o", "b.tar.gz", "--force").code == 0
    assert path.read_text() == "a bundle"


def test_a_refusal_leaves_no_file_behind(run: Run, server: Loopback, tmp_path: Path) -> None:
    server.routes["GET", "/api/tasks/MU-1/debug-bundle"] = problem(507, "no-room")
    assert run("debug", "bundle", "MU-1").code == 1
    assert run("debug", "bundle", "MU-1", "-o", "no/where").code == 2
    assert list(tmp_path.iterdir()) == []
