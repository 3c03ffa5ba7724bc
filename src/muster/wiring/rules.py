"""Checking a file of rules for breakpoints, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid
from muster.supervision.rulebook import HOME_FILE, RuleBook
from muster.wiring.plugins import working


def check(home: Path, file: Path, *, of_home: bool = False) -> list[dict[str, Any]]:
    """Every fault of a file, as a project's or, where it is that or is to be, as the home's.

    Raises:
        Invalid: it cannot be read.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise Invalid(
            f"{file} cannot be read: {error.strerror}", hint="name a file that you may read"
        ) from error
    book = RuleBook(working("conditions", home), home)
    of_project = not of_home and file.absolute() != (home / HOME_FILE).absolute()
    return [
        {"file": str(file), "line": fault.line, "what": fault.what, "remedy": fault.remedy}
        for fault in book.check(text, project=of_project)
    ]
