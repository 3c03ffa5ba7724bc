"""Hints of the kernel: who is told that something came or grew, and who has to look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from house.patience import PATIENCE
from muster.runtimes.hints import Came, Hints


@pytest.fixture
async def hints() -> AsyncIterator[Hints]:
    made = Hints()
    yield made
    made.close()


async def told(came: Came) -> None:
    await asyncio.wait_for(came.wait(), PATIENCE)
    came.clear()


async def test_several_followers_of_one_folder_all_hear_of_growth_and_of_what_came(
    hints: Hints, tmp_path: Path
) -> None:
    with hints.of([tmp_path], grows=True) as first:
        with hints.of([tmp_path]) as second, (tmp_path / "out").open("w", buffering=1) as out:
            assert first.sees
            assert second.sees
            out.write("a line\n")
            await told(first)
            (tmp_path / "part").write_text("x")
            await told(second)
        first.clear()
        # One that left took nothing from the other.
        with (tmp_path / "out").open("a") as out:
            out.write("more\n")
            out.flush()
            await told(first)


async def test_what_is_not_there_has_to_be_looked_for(hints: Hints, tmp_path: Path) -> None:
    with hints.of([tmp_path / "none"], grows=True) as came:
        assert not came.sees
        assert not came.is_set()
