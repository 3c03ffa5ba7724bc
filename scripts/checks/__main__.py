"""Runs every check, two at a time, and says for each how long it took and what it found."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.checks import index, openings, patching, places, suppressions

ROOT = Path(__file__).resolve().parents[2]
OWN: dict[str, Callable[[Path], Iterator[str]]] = {
    "no patching": patching.problems,
    "opening sentences": openings.problems,
    "no machine's names": places.problems,
    "docs index": index.problems,
    "reasons beside noqa": suppressions.problems,
}


@dataclass(frozen=True)
class Result:
    """What one check found; nothing is good."""

    name: str
    seconds: float
    found: str


def _tools(sources: list[str]) -> dict[str, list[str]]:
    """The commands, slowest first, so that two of them side by side end soonest."""
    bin_folder = Path(sys.executable).parent
    python = sys.executable
    commands = {
        "mypy": [python, "-m", "mypy"],
        "lint-imports": [str(bin_folder / "lint-imports"), "--no-logo"],
        "ruff check": [python, "-m", "ruff", "check", *sources],
        "ruff format": [python, "-m", "ruff", "format", "--check", *sources],
        "deptry": [python, "-m", "deptry", "src", "--no-ansi"],
        "vulture": [python, "-m", "vulture"],
    }
    if (ROOT / "scripts" / "vendor.py").exists():
        commands["vendored files"] = [python, "-m", "scripts.vendor", "--check"]
    return commands


def _run_tool(name: str, argv: list[str]) -> Result:
    start = time.monotonic()
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    said = (done.stdout + done.stderr).strip() or f"ended with status {done.returncode}"
    return Result(name, time.monotonic() - start, said if done.returncode else "")


def _run_own(name: str, problems: Callable[[Path], Iterator[str]]) -> Result:
    start = time.monotonic()
    try:
        found = "\n".join(problems(ROOT))
    except SyntaxError as error:
        found = f"{error.filename}:{error.lineno}: is not Python: {error.msg}"
    return Result(name, time.monotonic() - start, found)


def main(sources: list[str]) -> int:
    """Run all checks to the end, print one line for each; 1 when any found something."""
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(_run_tool, name, argv) for name, argv in _tools(sources).items()]
        runs += [pool.submit(_run_own, name, problems) for name, problems in OWN.items()]
        results = [run.result() for run in runs]
    for result in results:
        print(f"{'FAIL' if result.found else 'ok  '}  {result.name:<20} {result.seconds:5.1f} s")
    failed = [result for result in results if result.found]
    for result in failed:
        print(f"\n== {result.name}\n{result.found}")
    if failed:
        print(
            f"\n{len(failed)} of {len(results)} checks failed; `make fix` mends what can be mended."
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["src", "tests", "scripts"]))
