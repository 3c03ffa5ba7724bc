"""Every real program in every place; a part of it here, all of it by `make matrix`."""

from __future__ import annotations

import os
from typing import Any

import pytest

from matrix.cell import KILLS, try_cell
from matrix.places import COLUMNS
from matrix.programs import ROWS

LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
ONE_KILL = KILLS[:1]
SHORT = {
    ("claude", "docker"): KILLS,
    ("codex", "sandbox"): KILLS,
    ("gemini", "tmux"): ONE_KILL,
    ("opencode", "sandbox"): ONE_KILL,
    ("qwen", "ssh"): ONE_KILL,
    ("aider", "process"): ONE_KILL,
}
"""Each program and each place at least once, and each way to go on after a kill."""


def _cell(program: str, place: str) -> Any:
    marks = [getattr(pytest.mark, f"needs_{part}") for part in (program, *COLUMNS[place].parts)]
    if (program, place) not in SHORT:
        marks.append(pytest.mark.long)
    return pytest.param(program, place, marks=marks, id=f"{program}-{place}")


def test_the_short_form_has_every_program_and_every_place():
    assert {program for program, _ in SHORT} == set(ROWS)
    assert {place for _, place in SHORT} == set(COLUMNS)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("program", "place"), [_cell(program, place) for place in COLUMNS for program in ROWS]
)
def test_it_does_its_work_and_goes_on_though_the_server_or_itself_is_killed(
    program: str, place: str
):
    kills = KILLS if LONG else SHORT[program, place]
    seen = try_cell(program, COLUMNS[place], print, kills)
    assert seen.good, seen.faults
