"""Every real program in every place; a part of it here, all of it by `make matrix`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from matrix.cell import KILLS, try_cell
from matrix.places import COLUMNS
from matrix.programs import ROWS

TESTS = Path(__file__).resolve().parents[1]
LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
ONE_KILL = KILLS[:1]
SHORT = {
    ("claude", "sandbox"): ONE_KILL,
    ("codex", "sandbox"): KILLS,
    ("gemini", "tmux"): ONE_KILL,
    ("opencode", "sandbox"): ONE_KILL,
    ("qwen", "ssh"): ONE_KILL,
    ("aider", "process"): ONE_KILL,
}
"""Each program and each place at least once, and each way to go on after a kill.

Not containers: `test_manager` kills the server under three of Claude's.
"""


def _cell(program: str, place: str) -> Any:
    marks = [getattr(pytest.mark, f"needs_{part}") for part in (program, *COLUMNS[place].parts)]
    if (program, place) not in SHORT:
        marks.append(pytest.mark.long)
    return pytest.param(program, place, marks=marks, id=f"{program}-{place}")


def test_the_short_form_has_every_program_and_every_place():
    assert {program for program, _ in SHORT} == set(ROWS)
    assert {place for _, place in SHORT} == set(COLUMNS) - {"docker"}


@pytest.mark.parametrize("required", ["", "all"])
def test_a_program_that_is_not_there_is_a_named_skip_or_where_it_is_required_a_failure(
    required: str, tmp_path: Path
):
    env = {"PATH": str(tmp_path), "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    line = (sys.executable, "-m", "matrix", "--only", "codex", "--place", "process", "--json")
    done = subprocess.run(
        line, env=env | {"MUSTER_REQUIRE": required}, capture_output=True, text=True
    )
    (seen,) = json.loads(done.stdout)
    why = seen["faults"]["setup"] if required else seen["skipped"]
    assert why == "no codex on PATH; to enable: scripts/ci-setup codex"
    assert (done.returncode, seen["good"]) == (1 if required else 0, False)
    assert why in done.stderr


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
