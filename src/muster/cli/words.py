"""The words of a person on the command line: as an argument, from a file, from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from muster.domain.errors import Invalid


def words_given(text: str | None, file: str | None) -> str:
    """What should be done.

    Raises:
        Invalid: there are no words, or the file cannot be read.
    """
    if (text is None) == (file is None):
        raise click.UsageError("say what should be done: either TEXT or --file FILE")
    if text is None:
        text = _read(file or "-")
    if not text.strip():
        raise Invalid("the text is empty", hint='muster do "what should be done"')
    return text


def _read(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read()
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}", hint="name a text file") from error
