"""An image with a toolchain of the project's own: its agents and its checks stand on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.houses import git, shell, town
from muster.runtimes import image
from muster.runtimes.docker import IMAGE

pytestmark = [pytest.mark.needs_docker, pytest.mark.usefixtures("docker_engine")]

TOOLS = "stand-in/toolchain:1"
MAKES = shell('/opt/toolchain/bin/compile calc.py > "$MUSTER_TASK.out"')
TEST = "/opt/toolchain/bin/compile --check"


@pytest.fixture
async def toolchain(tmp_path: Path) -> str:
    """An image that holds a stand-in toolchain, which no other has."""
    folder = tmp_path / "toolchain"
    folder.mkdir()
    program = folder / "compile"
    program.write_text(
        '#!/bin/sh\nif [ "$1" = --check ]; then test -f calc.py; else echo "compiled $1"; fi\n'
    )
    program.chmod(0o755)
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY compile /opt/toolchain/bin/\n")
    await image.built(TOOLS, folder)
    return TOOLS


@pytest.mark.parametrize("named_by", ["project", pytest.param("task", marks=pytest.mark.long)])
async def test_the_agent_and_the_checks_find_the_toolchain(tmp_path, toolchain, named_by):
    of_project = {"image": toolchain} if named_by == "project" else {}
    of_task = {"image": toolchain} if named_by == "task" else {}
    async with town(
        tmp_path, {"makes": MAKES}, runtime="docker", test_command=TEST, **of_project
    ) as place:
        task = await place.do("makes", type="chore", **of_task)
        assert task["status"] == "completed", task["reason"]
        assert git(place.repo, "show", "main:MU-1.out") == "compiled calc.py"


@pytest.mark.long
async def test_without_it_the_toolchain_is_not_there(tmp_path):
    async with town(
        tmp_path, {"makes": MAKES}, runtime="docker", test_command=TEST, max_attempts=1
    ) as place:
        task = await place.do("makes", type="chore")
        assert task["status"] == "failed"
