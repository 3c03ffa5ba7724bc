"""What failed beside other tests is tried alone: few flaky ones are named, a fault is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from house.trees import ROOT

SUITE = """
from pathlib import Path
import pytest

def test_in_company():
    assert Path("alone").exists()

def test_each_second_time():
    tries = Path("tries")
    tries.write_text(tries.read_text() + "." if tries.exists() else ".")
    assert len(tries.read_text()) % 2 == 0

def test_wrong():
    assert "this" == "that"

@pytest.fixture
def ends_badly():
    yield
    assert Path("alone").exists()

def test_with_a_bad_end(ends_badly): pass

@pytest.mark.parametrize("number", range(4))
def test_of_many(number):
    assert Path("alone").exists()

@pytest.fixture
def part():
    if Path("alone").exists():
        pytest.skip("the part has gone")

def test_of_a_part(part):
    assert False

def test_good(): pass
"""


def _tried_again(folder: Path, *tests: str) -> tuple[int, str]:
    """Fail some tests, then try them with nobody beside them."""
    (folder / "test_small.py").write_text(SUITE)
    here = {"cwd": folder, "capture_output": True, "text": True}
    kept = ("-o", "cache_dir=build/pytest", "--cache-clear")
    named = [f"test_small.py::{test}" for test in tests]
    run = subprocess.run([sys.executable, "-m", "pytest", "-n", "1", *kept, *named], **here)
    assert run.returncode == 1, run.stdout
    (folder / "alone").touch()
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "again.py")], **here)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("test", ["test_in_company", "test_with_a_bad_end"])
def test_what_passes_alone_every_time_is_called_flaky_and_fails_nothing(
    tmp_path: Path, test: str
) -> None:
    status, said = _tried_again(tmp_path, test, "test_good")
    assert status == 0, said
    assert f"flaky  3 of 3 passed  test_small.py::{test}" in said
    assert "test_good" not in said


def test_one_that_fails_again_alone_fails_the_run_and_says_how(tmp_path: Path) -> None:
    status, said = _tried_again(tmp_path, "test_wrong", "test_in_company")
    assert status == 1
    assert "FAILED 0 of 3 passed  test_small.py::test_wrong" in said
    assert "assert 'this' == 'that'" in said


def test_one_that_is_skipped_when_it_is_alone_has_not_passed(tmp_path: Path) -> None:
    status, said = _tried_again(tmp_path, "test_of_a_part")
    assert status == 1
    assert "FAILED 0 of 3 passed  test_small.py::test_of_a_part" in said
    assert "the part has gone" in said


def test_one_that_passes_only_at_times_is_a_fault(tmp_path: Path) -> None:
    status, said = _tried_again(tmp_path, "test_each_second_time")
    assert status == 1
    assert "FAILED 1 of 3 passed" in said


def test_many_failures_are_not_blamed_on_company(tmp_path: Path) -> None:
    status, said = _tried_again(tmp_path, "test_of_many")
    assert status == 1
    assert "4 failed: at most 3" in said


def test_a_run_that_names_no_failed_test_stays_failed(tmp_path: Path) -> None:
    again = [sys.executable, str(ROOT / "scripts" / "again.py")]
    assert subprocess.run(again, cwd=tmp_path, capture_output=True).returncode == 1
    kept = tmp_path / "build" / "pytest" / "v" / "cache" / "lastfailed"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({}))
    assert subprocess.run(again, cwd=tmp_path, capture_output=True).returncode == 1
