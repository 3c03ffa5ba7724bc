"""What leaves the program: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

from muster.cli.line import Line
from muster.domain.errors import MusterError
from muster.domain.plain import plain

_ERASE = "\r\x1b[2K"


def document(value: Any) -> None:
    """Print one JSON document; escaped to ASCII, so that no terminal obeys what is in it."""
    print(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def json_line(value: Any) -> None:
    """Print one JSON line of a stream and let it go at once."""
    print(json.dumps(value), flush=True)


def say(line: Line, text: str) -> None:
    """Print a result for people; whatever strangers put into it, only colour may pass."""
    print(plain(text, colour=line.colour))


def say_part(text: str) -> None:
    """Print a piece of a stream that was cleaned already, as it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(line: Line, text: str) -> None:
    """Say something beside the result: a step done, what to do next."""
    if not line.quiet and not line.json:
        print(plain(text), file=sys.stderr, flush=True)


class Progress:
    """What is going on, on standard error: lines that stay, and on a terminal one that changes."""

    def __init__(self, line: Line) -> None:
        self._on = not line.quiet and not line.json
        self._live = self._on and sys.stderr.isatty()
        self._shown = False

    def step(self, text: str) -> None:
        """Print a line that stays."""
        if self._on:
            self._erase()
            print(plain(text), file=sys.stderr, flush=True)

    def now(self, text: str) -> None:
        """Show a line in the place of the last; nothing where that cannot be."""
        if self._live and text:
            self._shown = True
            sys.stderr.write(_ERASE + plain(text)[:100])
            sys.stderr.flush()

    def _erase(self) -> None:
        if self._shown:
            sys.stderr.write(_ERASE)
            self._shown = False

    def done(self) -> None:
        """Leave no changing line behind."""
        self._erase()
        sys.stderr.flush()


def show_error(error: MusterError, *, as_json: bool) -> None:
    """Say what happened and what to do next; with JSON as a problem document on both streams."""
    if as_json:
        problem = error.problem()
        print(json.dumps(problem, default=str), file=sys.stderr)
        print(json.dumps({"error": problem}, default=str))
        return
    print(f"muster: {plain(error.detail)}", file=sys.stderr)
    if error.hint:
        print(f"  next: {plain(error.hint)}", file=sys.stderr)
