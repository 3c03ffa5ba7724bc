"""Literal search in the files of one commit of a mirror."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from muster.domain.guard import commit_id
from muster.workspace.git import Answer, failure
from muster.workspace.mirror import Mirror

_SECONDS = 20.0
_BYTES = 1_000_000
_PER_FILE = 20
_LINE = 300


@dataclass(frozen=True, slots=True)
class Hit:
    """One line that holds what was looked for; a long line is cut."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found; `left_out` when there was more."""

    hits: tuple[Hit, ...]
    left_out: bool


def grep(mirror: Mirror, commit: str, words: str, below: str, most: int) -> Found:
    """Lines of a commit's text files that hold `words`, in any case.

    `words` is one line, taken literally. `below` is a path that hits lie in or under, or "".

    Raises:
        GitFailed: it took too long, or the commit is not here.
    """
    args = [
        *("grep", "--fixed-strings", "--ignore-case", "-I", "--line-number", "--null"),
        *("--full-name", "--no-color", "--no-textconv", f"--max-count={_PER_FILE}"),
        *("-e", words, commit_id(commit), "--", *([below] if below else [])),
    ]
    answer = mirror.git.ask(mirror.place, *args, seconds=_SECONDS, limit=_BYTES)
    if answer.code not in {0, 1} and not answer.cut:
        raise failure(args, answer)
    found = list(_hits(answer, commit))
    return Found(tuple(found[:most]), answer.cut or len(found) > most)


def _hits(answer: Answer, commit: str) -> Iterator[Hit]:
    lines = answer.out.split(b"\n")
    # What follows the last line end is nothing, or a line that was cut.
    for line in lines[:-1]:
        name, _, rest = line.partition(b"\0")
        number, _, text = rest.partition(b"\0")
        if not number.isdigit():  # a file's name may hold a line end; its hits are passed over
            continue
        path = name.decode("utf-8", "replace").removeprefix(f"{commit}:")
        yield Hit(path, int(number), text.decode("utf-8", "replace")[:_LINE])
