"""Measures all figures, says which bars are reached, and writes `benchmarks/RESULTS.md`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import commands, machine, news, runs, runtimes, spaces, twelve, upkeep, walk
from benchmarks.figures import Broken, Figure, Plan
from benchmarks.report import Run, row

BENCHMARKS: Mapping[str, Callable[[Plan], Sequence[Figure]]] = {
    "walk": walk.measure,
    "twelve": twelve.measure,
    "workspaces": spaces.measure,
    "news": news.measure,
    "output": runs.measure,
    "runtimes": runtimes.measure,
    "upkeep": upkeep.measure,
    "commands": commands.measure,
}
RESULTS = Path(__file__).parent / "RESULTS.md"


def main(argv: Sequence[str] | None = None) -> int:
    """0 when every bar that can be measured here is reached, 1 when not, 2 when it broke."""
    given = _parser().parse_args(argv)
    try:
        return _run(given)
    except Broken as fault:
        print(f"broken: {fault}", file=sys.stderr)
        return 2


def _run(given: argparse.Namespace) -> int:
    plan = Plan(rounds=given.rounds, tiny=given.tiny)
    before = machine.load()
    figures: dict[str, Sequence[Figure]] = {}
    for name in given.only or BENCHMARKS:
        print(f"{name} …", file=sys.stderr, flush=True)
        figures[name] = BENCHMARKS[name](plan)
        if not given.json:
            print(f"{name}\n" + "\n".join(map(row, figures[name])), flush=True)
    facts = {**machine.facts(), "load before": before, "load after": machine.load()}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    run = Run(date, facts, plan.rounds, figures)
    if not given.only and not given.tiny:
        RESULTS.write_text(run.page(), "utf-8")
    print(json.dumps(run.document(), indent=1) if given.json else run.summary())
    return 1 if run.missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), metavar="NAME",
                        help=f"one of {', '.join(BENCHMARKS)}; may be given again")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="medians are of so many (default 5)")
    parser.add_argument("--tiny", action="store_true", help="only show that all of it works")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
