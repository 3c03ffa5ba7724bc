"""Pairs of changes to one repository, made by a seed: clean, textual and semantic conflicts.

Each pair keeps to a folder of its own. Its code is shell functions and its tests are `*.check`
files beside them, which the one test command runs in subshells: a whole run takes milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

TESTS = "sh tests/run.sh"
LIB = "width() { echo 40; }\n\n\n\nheight() { echo 2; }\n"
RUN = 'for check in */*.check; do ( set -eu; . "./$check" ) || { echo "$check"; exit 1; }; done\n'


@dataclass(frozen=True)
class Pair:
    """What two agents do in a folder: each a shell script, and how the two stand together."""

    folder: str
    kind: str
    one: str
    other: str


def base(pairs: list[Pair]) -> Mapping[str, str]:
    """The files of the repository before any of it."""
    files = {"tests/run.sh": RUN}
    for pair in pairs:
        files |= {
            f"{pair.folder}/lib.sh": LIB,
            f"{pair.folder}/lib.check": f'. {pair.folder}/lib.sh; [ "$(height)" = 2 ]\n',
            f"{pair.folder}/use.sh": f". {pair.folder}/lib.sh\nboth() {{ width; height; }}\n",
            f"{pair.folder}/use.check": f". {pair.folder}/use.sh; both > /dev/null\n",
        }
    return files


def generated(seed: int, count: int) -> list[Pair]:
    """So many pairs, of every kind at least one in five."""
    rng = random.Random(seed)
    kinds = [list(_KINDS)[n % len(_KINDS)] for n in range(count)]
    rng.shuffle(kinds)
    return [_pair(rng, f"p{n:02}", kind) for n, kind in enumerate(kinds)]


def _pair(rng: random.Random, folder: str, kind: str) -> Pair:
    sides = list(_KINDS[kind](folder, rng.randint(100, 999)))
    rng.shuffle(sides)
    return Pair(folder, kind, *sides)


def _clean(folder: str, n: int) -> tuple[str, str]:
    return _adds(folder, "left", n), _adds(folder, "right", n + 1)


def _adds(folder: str, name: str, n: int) -> str:
    code = _write(f"{folder}/{name}.sh", f"{name}() {{ echo {n}; }}")
    return code + _write(f"{folder}/{name}.check", f'. {folder}/{name}.sh; [ "$({name})" = {n} ]')


def _textual(folder: str, n: int) -> tuple[str, str]:
    return _edit(folder, "echo 2;", f"echo 2; : {n};"), _edit(folder, "echo 2;", "echo 2; : other;")


def _renamed(folder: str, n: int) -> tuple[str, str]:
    """One renames a function everywhere; the other calls it by its old name in a new file."""
    renames = f"sed -i 's/width/breadth/' {folder}/lib.sh {folder}/use.sh;"
    code = _write(f"{folder}/new.sh", f". {folder}/lib.sh\ntwice() {{ width; width; }}")
    return renames, code + _write(f"{folder}/new.check", f". {folder}/new.sh; twice > /dev/null")


def _another_unit(folder: str, n: int) -> tuple[str, str]:
    """One counts in another unit; the other counts on the old one."""
    code = _write(f"{folder}/area.sh", f". {folder}/lib.sh\narea() {{ echo $(($(width) * {n})); }}")
    tested = _write(f"{folder}/area.check", f'. {folder}/area.sh; [ "$(area)" = {40 * n} ]')
    return _edit(folder, "echo 40;", "echo 4000;"), code + tested


def _same_name(folder: str, n: int) -> tuple[str, str]:
    """Both give the same name to a value of their own, in files of their own."""

    def side(name: str, value: int) -> str:
        read = f'for conf in {folder}/*.conf; do . "./$conf"; done; [ "$limit" = {value} ]'
        return _write(f"{folder}/{name}.conf", f"limit={value}") + _write(
            f"{folder}/{name}.check", read
        )

    return side("mine", n), side("theirs", n + 1)


_KINDS = {
    "clean": _clean,
    "textual": _textual,
    "renamed": _renamed,
    "another unit": _another_unit,
    "same name": _same_name,
}
SEMANTIC = frozenset({"renamed", "another unit", "same name"})


def _write(path: str, text: str) -> str:
    return f"cat > {path} <<'END'\n{text}\nEND\n"


def _edit(folder: str, old: str, new: str) -> str:
    return f"sed -i 's/{old}/{new}/' {folder}/lib.sh;"
