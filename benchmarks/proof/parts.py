"""A release that brings several things, taken apart by definition: each is a change of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.proof.corpus import FEWEST, Change, functions, key_of, names_all_known
from benchmarks.proof.execute import Runner
from benchmarks.proof.imports import without_idle_imports
from benchmarks.proof.trees import Hunk, Tree, applied, hunks_of, labels, parses, text, without
from muster.supervision.evidence import PASSED

MOST = 5
"""So many parts are taken of one release, those with the most tests first."""


@dataclass(frozen=True)
class Piece:
    """A hunk of one definition on top of a file, or of none (then `name` is empty)."""

    name: str
    hunk: Hunk
    label: bool = False


def parts_of(change: Change, runner: Runner) -> list[Change]:
    """The parts that tests show one by one and that break nothing; none where it is one thing."""
    pieces = list(_pieces(change))
    tests = functions(change.tests)
    wanted = []
    for name in dict.fromkeys(piece.name for piece in pieces if piece.name):
        owed = tuple(t for t in change.owed if f"'{name}'" in tests.get(key_of(t), ""))
        if len(owed) >= FEWEST:
            wanted.append((name, owed))
    if len(wanted) < 2:
        return []
    wanted.sort(key=lambda pair: (-len(pair[1]), pair[0]))
    found = (_part(change, runner, pieces, *pair) for pair in wanted[:MOST])
    return [part for part in found if part is not None]


def _part(
    change: Change, runner: Runner, pieces: list[Piece], name: str, owed: tuple[str, ...]
) -> Change | None:
    command, most = change.recipe.command, change.allowed
    good = _only(change, pieces, name)
    if good is None or not names_all_known(change.base, good, change.recipe, runner):
        return None
    before = runner.run(change.base, command, most).result
    own = runner.run(good, command, most).result
    if not own.tests or own.failing - before.failing:
        return None
    passed = runner.run(change.with_all_tests(good), command, most).result.having(PASSED)
    shown = tuple(test for test in owed if test in passed)
    if len(shown) < FEWEST:
        return None
    kept = change.kept & passed
    return replace(change, good=good, owed=shown, kept=kept, broken=(), part=name)


def _only(change: Change, pieces: list[Piece], name: str) -> dict[str, bytes] | None:
    """The base with one definition, and with what stands outside of all but names others."""
    good = dict(change.base)
    for path in dict.fromkeys(piece.hunk.path for piece in pieces):
        chosen = [
            piece.hunk for piece in pieces if piece.hunk.path == path and _belongs(piece, name)
        ]
        if chosen:
            source = applied(text(change.base, path), chosen)
            if not parses(source):
                return None
            good[path] = without_idle_imports(text(change.base, path), source).encode()
    return good


def _belongs(piece: Piece, name: str) -> bool:
    if piece.name or piece.label:
        return piece.name == name or (piece.label and _mentions(piece.hunk, name))
    return True


def _mentions(hunk: Hunk, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", "".join(hunk.new)) is not None


def _pieces(change: Change) -> Iterator[Piece]:
    base = without(change.base, change.recipe.tests)
    new = without(change.good, change.recipe.tests)
    for path in sorted(new):
        if path.endswith(".py") and new[path] != base.get(path):
            yield from _of_file(base, new, path)


def _of_file(base: Tree, new: Tree, path: str) -> Iterator[Piece]:
    spans = _spans(text(new, path))
    old_spans = _spans(text(base, path))
    shift = 0
    for hunk in hunks_of(base, new, path):
        first = hunk.start + shift + 1
        shift += len(hunk.new) - len(hunk.old)
        if not hunk.new:
            name, label = _at(old_spans, hunk.start + 1)
            yield Piece(name, hunk, label)
        elif hunk.old:
            name, label = _at(spans, first)
            yield Piece(name, hunk, label)
        else:
            yield from _split(hunk, first, spans)


Span = tuple[int, int, str, bool]


def _spans(source: str) -> list[Span]:
    """From which line to which each definition and each label goes."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    found = []
    for node in module.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        name = getattr(node, "name", "")
        if name or labels(node):
            found.append((first, node.end_lineno or first, name, not name))
    return found


def _at(spans: list[Span], line: int) -> tuple[str, bool]:
    for first, last, name, label in spans:
        if first <= line <= last:
            return name, label
    return "", False


def _split(hunk: Hunk, first: int, spans: list[Span]) -> Iterator[Piece]:
    """An insertion, cut where the definitions end that it brings."""
    lines: list[str] = []
    for at, line in enumerate(hunk.new, first):
        lines.append(line)
        ends = next((span for span in spans if span[1] == at), None)
        if ends is not None:
            yield Piece(ends[2], Hunk(hunk.path, hunk.start, (), tuple(lines)), ends[3])
            lines = []
    if lines:
        name, label = _at(spans, first + len(hunk.new) - 1)
        yield Piece(name, Hunk(hunk.path, hunk.start, (), tuple(lines)), label)
