"""`make matrix`: try every cell, or some, and print the table."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence

from house.parts import PARTS, is_required, why_absent
from matrix.cell import COLUMNS as SHOWN
from matrix.cell import Seen, try_cell
from matrix.places import COLUMNS, Place
from matrix.programs import ROWS


def main() -> int:
    """Try cells one after another; 1 when one is not as it should be."""
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(ROWS), metavar="PROGRAM")
    parser.add_argument("--place", action="append", choices=list(COLUMNS), metavar="PLACE")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    # Asked to end, it takes down what it started all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cells = [
        (program, COLUMNS[place])
        for place in given.place or COLUMNS
        for program in given.only or ROWS
    ]
    found = [_one(*cell) for cell in cells]
    print(json.dumps([seen.as_json() for seen in found], indent=1) if given.json else table(found))
    return 1 if any(seen.faults for seen in found) else 0


def missing(program: str, place: Place) -> Seen | None:
    """A cell that cannot be tried here: a skip, or a fault where its parts are required."""
    for part in (program, *place.parts):
        if why := why_absent(part):
            said = f"{why}; to enable: {PARTS[part].enable}"
            if is_required(part, os.environ.get("MUSTER_REQUIRE", "")):
                return Seen(program, place.name, faults={"setup": said})
            return Seen(program, place.name, skipped=said)
    return None


def _one(program: str, place: Place) -> Seen:
    _say(f"{program} in {place.name}")
    seen = missing(program, place) or try_cell(program, place, lambda w: _say(f"  {w} …"))
    if seen.skipped:
        _say(f"  skipped: {seen.skipped}")
    for column, why in seen.faults.items():
        _say(f"  FAILED {column}: {why}")
    _say(f"  {'as it should be' if seen.good else 'not shown'} ({seen.seconds:.0f} s)")
    return seen


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def table(found: Sequence[Seen]) -> str:
    """The cells, one a line, and below it why some are not as they should be."""
    rows = [["PROGRAM", "PLACE", *(name.upper() for name in SHOWN)]]
    for seen in found:
        words = [_word(seen, name) for name in SHOWN]
        rows.append([seen.program, seen.place, *words])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ["  ".join(w.ljust(n) for w, n in zip(row, widths, strict=True)) for row in rows]
    for seen in found:
        why = [seen.skipped] if seen.skipped else []
        why += [f"{column}: {words}" for column, words in seen.faults.items()]
        lines += [f"{seen.program} in {seen.place}: {words}" for words in why]
    return "\n".join(line.rstrip() for line in lines)


def _word(seen: Seen, column: str) -> str:
    if seen.skipped:
        return "skipped"
    if column in seen.faults or "setup" in seen.faults:
        return "FAILED"
    return seen.words.get(column, "–")


if __name__ == "__main__":
    sys.exit(main())
