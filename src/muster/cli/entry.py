"""Where every run of `muster` begins: what needs no command line is answered before one is read.

Reading one means to import click, which takes longer than Python's own start.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

from muster.cli.usage import PAGE

_WIDE = 80
_ALLOCATIONS = 50_000
"""After so many the collector looks for cycles; imports alone make more than its usual 700."""


def main(argv: list[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    gc.set_threshold(_ALLOCATIONS, 20, 20)
    given = sys.argv[1:] if argv is None else argv
    said = _at_once(given)
    if said is None:
        ended: int = import_module("muster.cli.main").main(given)
        return ended
    try:
        sys.stdout.write(said)
        sys.stdout.flush()
    except BrokenPipeError:
        say_no_more()
    return 0


def say_no_more() -> None:
    """Drop what is still to be written: who reads has gone, and Python would complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _at_once(given: list[str]) -> str | None:
    """What is answered without reading a command line, if anything is."""
    if given in (["--help"], ["-h"]):
        return PAGE if _is_wide() else None
    if "--json" not in given or "list" not in given:
        return None
    environ = os.environ  # noqa: TID251 - the command line reads the same names from it
    answer: str | None = import_module("muster.cli.asked_often").answer(given, environ)
    return answer


def _is_wide() -> bool:
    """Whether the page fits, which was laid out for the width that help never exceeds."""
    try:
        columns = os.environ.get("COLUMNS")  # noqa: TID251 - the settings would be read for help
        return int(columns or os.get_terminal_size(1).columns) >= _WIDE
    except (OSError, ValueError):
        return True
