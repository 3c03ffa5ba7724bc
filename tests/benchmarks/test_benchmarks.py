"""Every benchmark runs in its tiny form and prints its figures; no time is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache

import pytest
from benchmarks.__main__ import BENCHMARKS
from benchmarks.figures import Figure
from benchmarks.report import Run

from house.trees import ROOT


@cache
def _run(*args: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("MUSTER_")}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *args],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in {"upkeep", "commands"} else [])
        for name in sorted(BENCHMARKS)
    ],
)
def test_the_benchmark_runs_and_tells_its_figures(name: str) -> None:
    done = _run("--tiny", "--rounds", "1", "--json", "--only", name)
    assert done.returncode in {0, 1}, done.stderr
    document = json.loads(done.stdout)
    figures = document["figures"][name]
    assert figures
    assert all(f["name"] and f["verdict"] for f in figures)
    assert document["machine"]["Python"]
    assert document["reached"] is (done.returncode == 0)


def test_no_task_is_called_done_without_proof_and_none_loses_its_change() -> None:
    done = _run("--tiny", "--rounds", "1", "--json", "--only", "twelve")
    values = {f["name"].rpartition(": ")[2]: f["value"] for f in _figures(done, "twelve")}
    assert values["false done"] == 0
    assert values["without their change"] == 0


def _figures(done: subprocess.CompletedProcess[str], name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(done.stdout)["figures"][name]
    return found


def test_a_missed_bar_fails_the_run_and_one_that_cannot_be_measured_does_not() -> None:
    slow = Figure("slow", 101.0, "ms", 100.0)
    exact = Figure("exact", 100.0, "ms", 100.0)
    absent = Figure("absent", None, "ms", 10.0)
    few = Figure("few", 49.0, "times", 50.0, at_least=True)
    run = Run("2026-01-01T00:00:00+00:00", {}, 1, {"all": [slow, exact, absent, few]})
    assert [f.name for f in run.missed] == ["slow", "few"]
    assert absent.verdict == "not measurable here"
    assert run.summary() == "1 of 4 bars reached, 2 missed."
    assert "| few | ≥ 50 times | 49 times | MISSED |" in run.page()


def test_an_unknown_benchmark_is_refused_with_those_there_are() -> None:
    done = _run("--only", "nothing")
    assert done.returncode == 2
    assert "walk" in done.stderr
