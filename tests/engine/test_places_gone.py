"""A place that cannot be used: the task says what happened and what to do, and no try is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.ssh_place import HOME, FarBox, Sshd
from engine.houses import Town, marked, shell, town, waiting_for
from house.patience import until
from muster.wiring.house import House

WORKS = {"works": shell("echo x > x")}


async def asked(place: Town, runtime: str) -> str:
    """What a person is asked of a task that cannot be begun there."""
    task = await place.do("works", type="chore", runtime=runtime, autonomy="confirm")
    assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "problem")
    assert task["attempt"] <= 1
    said = task["breakpoint"]
    return f"{said['question']}; {said['evidence']['hint']}"


async def test_without_a_docker_engine_it_names_the_socket_and_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    async with town(tmp_path, WORKS, test_command="true") as place:
        question = await asked(place, "docker")
        assert f"no Docker engine listens at {tmp_path}/none.sock" in question
        assert "install and start Docker" in question


async def test_a_tmux_that_is_too_old_is_named_with_the_version_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tmux").write_text("#!/bin/sh\necho 'tmux 1.8'\n")
    (tmp_path / "bin" / "tmux").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    async with town(tmp_path, WORKS, test_command="true") as place:
        question = await asked(place, "tmux")
        assert "tmux 1.8, which is too old" in question
        assert "install tmux 3.0" in question


async def test_an_agent_that_nobody_can_follow_any_more_is_ended_and_its_task_asked_about(
    tmp_path: Path,
) -> None:
    lasts = {"lasts": shell(f"touch begun; {waiting_for(tmp_path / 'go')}")}
    async with town(tmp_path, lasts, test_command="true", autonomy="confirm") as place:
        made = await place.submit("lasts", type="chore")
        spaces = place.home / "workspaces" / "spaces"
        await until(lambda: list(spaces.glob("*/tree/begun")))
        await place.house.stop()
        place.settings = replace(place.settings, agents={})  # as a person changed config.toml
        place.house = House(place.settings)
        place.house.daemon._durable._pause = 0.01  # type: ignore[attr-defined]
        await place.house.start()
        task = await place.until(made["id"])
        assert task["status"] == "waiting"
        assert "there is no agent 'lasts'" in task["breakpoint"]["question"]
        (agent,) = task["agents"]
        assert (agent["status"], agent["ended_at"] is None) == ("failed", False)
        assert "there is no agent 'lasts'" in agent["reason"]
        await until(lambda: not marked(place.home))


@pytest.fixture
async def sshd(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sshd]:
    monkeypatch.setenv(HOME, str(home))
    server = Sshd(home.with_name(f"{home.name}-s"))
    server.start()
    server.trust(home)
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.mark.needs_sshd
async def test_a_host_whose_key_has_changed_is_not_spoken_with_and_named(
    sshd: Sshd, tmp_path: Path
) -> None:
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    async with town(tmp_path, WORKS, test_command="true") as place:
        place.house.tools.runtimes["ssh:box"] = FarBox()  # type: ignore[index]
        place.service._own.runtime_names |= {"ssh:box"}
        question = await asked(place, "ssh:box")
        assert "SHA256:" in question
        assert "muster host add" in question
        await place.house.tools.runtimes["ssh:box"].close()
