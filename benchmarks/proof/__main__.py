"""Plants the defects, prints the table, and writes `benchmarks/proof/RESULTS.md`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.figures import Broken
from benchmarks.proof.cases import TYPE, WRONG
from benchmarks.proof.page import Report
from benchmarks.proof.plant import plant
from benchmarks.proof.recipes import recipes
from benchmarks.proof.sources import cache_folder
from benchmarks.proof.whole import by_hand
from benchmarks.report import row
from muster.supervision import prior
from muster.supervision.features import features_of

RESULTS = Path(__file__).parent / "RESULTS.md"
PRIOR = Path(prior.__file__).parent / prior.FILE


def main(argv: Sequence[str] | None = None) -> int:
    """0 when every bar is reached, 1 when not, 2 when it broke."""
    given = _parser().parse_args(argv)
    try:
        return _run(given)
    except Broken as fault:
        print(f"broken: {fault}", file=sys.stderr)
        return 2


def _run(given: argparse.Namespace) -> int:
    known = recipes()
    names = given.only or [recipe.name for recipe in known]
    chosen = [recipe for recipe in known if recipe.name in names]
    if len(chosen) < len(set(names)):
        have = ", ".join(recipe.name for recipe in known)
        raise Broken(f"there is no such project in the recipes; there are: {have}")
    cache = cache_folder()
    if given.fresh:
        shutil.rmtree(cache / "outcomes", ignore_errors=True)
    made = plant(cache, chosen, given.limit)
    if not made.outcomes:
        raise Broken("none of these releases is of use; leave out --only or --limit")
    date = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {
        **machine.facts(),
        "load after": machine.load(),
        "projects": f"{len(chosen)} of the {len(known)} in the recipes",
    }
    report = Report.of(date, facts, made)
    if given.write_results or (not given.only and not given.limit):
        RESULTS.write_text(report.page(), "utf-8")
    if given.write_prior:
        PRIOR.write_text(_prior(report), "utf-8")
    if given.json:
        print(json.dumps(report.document(), indent=1))
    else:
        print(report.page())
        print("\n".join(map(row, report.figures)))
    return 1 if report.missed else 0


def _prior(report: Report) -> str:
    outcomes = report.planted.outcomes
    made = prior.prior_from(
        [features_of(o.findings, TYPE) for o in outcomes],
        [o.truth != WRONG for o in outcomes],
        version=f"proof-{report.date[:10]}",
        date=report.date[:10],
        source=f"Planted defects ({report.corpus()}), by python -m benchmarks.proof --write-prior;"
        " drawn to the weights chosen by hand before. Not fitted to work of agents.",
        toward=by_hand(),
    )
    return prior.prior_text(made)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proof", description=__doc__)
    parser.add_argument("--only", action="append", metavar="PROJECT",
                        help="one project of the recipes; may be given again")  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="at most N changes a project")
    parser.add_argument("--fresh", action="store_true", help="run everything anew")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write-results", action="store_true",
                        help="write the page, though of only a part")  # fmt: skip
    parser.add_argument("--write-prior", action="store_true",
                        help="write the fitted weights that muster ships")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
