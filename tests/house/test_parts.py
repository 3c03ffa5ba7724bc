"""Parts that may be absent: skipped with what enables them, or failed where required."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from house.parts import PARTS, is_required
from house.trees import ROOT

SUITE = """
import os
import pytest

@pytest.mark.needs_chromium
def test_page(): pass

def test_by_itself(): pytest.skip("for a reason of its own")

@pytest.mark.long
def test_for_hours(): pass

def test_here(seed): print("seed", seed)

def test_home_is_not_named():
    with pytest.raises(OSError):
        os.makedirs(os.environ["MUSTER_HOME"])
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A small suite beside this project's conftest, on a machine without a browser."""
    (tmp_path / "tests" / "house").mkdir(parents=True)
    ours = ("left_behind", "measuring", "parts")
    for name in ("tests/conftest.py", *(f"tests/house/{one}.py" for one in ours), "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "tests" / "house" / "__init__.py").touch()
    (tmp_path / "tests" / "test_small.py").write_text(SUITE)
    (tmp_path / "empty").mkdir()
    return tmp_path


def _run(suite: Path, *args: str, **env: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *args],
        cwd=suite,
        env={"PATH": str(suite / "empty"), "HOME": str(suite), "LANG": "C.UTF-8"} | env,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [pytest.param("0", marks=pytest.mark.long), "1"])
def test_what_was_skipped_is_listed_with_what_enables_it(suite: Path, workers: str) -> None:
    status, said = _run(suite, "-n", workers)
    assert status == 0, said
    summary = said.split("Skipped here, and how to enable")[1]
    assert "scripts/ci-setup chromium" in summary
    assert "1 are long: make test-long" in summary


def test_a_missing_part_fails_where_all_is_required(suite: Path) -> None:
    status, said = _run(suite, MUSTER_REQUIRE="all")
    assert status == 1
    assert "scripts/ci-setup chromium (MUSTER_REQUIRE=all)" in said
    assert "was skipped under MUSTER_REQUIRE=all" in said
    assert "for a reason of its own" in said


def test_only_the_named_part_is_required(suite: Path) -> None:
    assert _run(suite, MUSTER_REQUIRE="claude")[0] == 0
    assert _run(suite, MUSTER_REQUIRE="claude,chromium")[0] == 1
    assert is_required("chromium", "all")
    assert not is_required("chromium", "")


def test_a_file_that_skips_itself_fails_where_all_is_required(suite: Path) -> None:
    (suite / "tests" / "test_small.py").write_text("import pytest\npytest.importorskip('nothing')")
    assert _run(suite, MUSTER_REQUIRE="all")[0] != 0


def test_the_seed_is_printed_and_can_be_given_again(suite: Path) -> None:
    said = _run(suite, "-s", MUSTER_SEED="4711")[1]
    assert "MUSTER_SEED=4711 repeats" in said
    assert "seed 4711" in said


def test_the_long_tests_run_when_they_are_asked_for(suite: Path) -> None:
    assert "3 passed" in _run(suite, "-k", "hours or here or named", MUSTER_LONG="1")[1]


def test_programs_that_tests_start_hear_ctrl_c_even_when_the_run_is_in_the_background(
    suite: Path,
) -> None:
    (suite / "tests" / "test_small.py").write_text(
        "import signal, subprocess, sys\n"
        "def test_heard():\n"
        "    ask = 'import signal; print(signal.getsignal(signal.SIGINT))'\n"
        "    said = subprocess.run([sys.executable, '-c', ask], capture_output=True, text=True)\n"
        "    assert 'default_int_handler' in said.stdout\n"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status, said = _run(suite, "-n", "1")
    finally:
        signal.signal(signal.SIGINT, before)
    assert status == 0, said


HANGING = """
import time
import pytest

@pytest.fixture
def stuck():
    yield
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

@pytest.mark.timeout(1)
def test_fails_and_never_ends(stuck):
    assert False

def test_other(): pass
"""


@pytest.mark.parametrize("workers", [pytest.param("0", marks=pytest.mark.long), "1"])
def test_a_failed_test_whose_teardown_hangs_is_named_and_ended(suite: Path, workers: str) -> None:
    (suite / "tests" / "test_small.py").write_text(HANGING)
    status, said = _run(suite, "-n", workers, MUSTER_GRACE_SECONDS="2")
    assert status not in {0, 5}
    assert "test_fails_and_never_ends hangs and does not end" in said
    assert "in stuck" in said
    if workers == "1":
        assert "1 passed" in said


def test_every_part_says_what_it_is_and_how_to_get_it() -> None:
    for name, part in PARTS.items():
        assert name == part.name
        assert part.what
        assert part.enable


LEAVING = """
import subprocess, sys

SLEEPS = [sys.executable, "-c", "import time; time.sleep(300)"]
LEFT = []

def leave(word, **more):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    LEFT.append(subprocess.Popen([*SLEEPS, word], **quiet, **more))

def test_leaves_a_program():
    leave("one")

def test_leaves_one_without_our_environment(tmp_path):
    leave("two", env={"HOME": f"{tmp_path}/home"})
"""


@pytest.mark.parametrize("workers", [pytest.param("0", marks=pytest.mark.long), "1"])
def test_what_the_tests_leave_running_makes_the_run_fail_and_is_named(
    suite: Path, workers: str
) -> None:
    (suite / "tests" / "test_small.py").write_text(LEAVING)
    status, said = _run(suite, "-n", workers, MUSTER_GRACE_SECONDS="1")
    left = said.partition("Left behind by the tests")[2]
    assert status == 8, f"not 1: no test of them is to be tried again\n{said}"
    assert "2 passed" in said
    told = [line.split() for line in left.splitlines() if "time.sleep(300)" in line]
    assert sorted(words[-1] for words in told) == ["one", "two"]
    for words in told:
        os.kill(int(words[1].rstrip(":")), signal.SIGKILL)
