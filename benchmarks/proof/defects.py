"""Defective variants of a good change, made the same way each time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.proof.corpus import Change
from benchmarks.proof.execute import Ran, Runner
from benchmarks.proof.hardcoding import PLUGIN, TOLD, hard_coded, recorder
from benchmarks.proof.mutations import Mutation, mutations, swallowed
from benchmarks.proof.tampering import WAYS, tampered
from benchmarks.proof.trees import (
    Tree,
    added_lines,
    changes,
    digest,
    drop,
    parses,
    part,
    shape,
    telling_hunks,
    text,
    without,
)
from muster.supervision.stage import Beside

GOOD = "good"
KINDS = ("mutant", "hunk left out", "half the task", "errors swallowed", "hard-coded", *WAYS)
MUTANTS, HUNKS, MOST_TAMPERED, MOST_FAILING = 3, 2, 2, 12


@dataclass(frozen=True)
class Variant:
    """A tree that somebody hands in for a change; `kind` says what was done to it."""

    kind: str
    what: str
    tree: Tree


def drawn(change: Change) -> random.Random:
    """The same draws for the same change, whatever was drawn for others."""
    return random.Random(f"planted {change.name}")


def planted(change: Change) -> list[Variant]:
    """Mutants, parts left out, and swallowed errors: what needs no run."""
    draw = drawn(change)
    found = [*_mutants(change, draw), *_parts(change, draw), *_swallowed(change, draw)]
    seen = {digest(change.good), digest(change.base)}
    fresh = []
    for variant in found:
        name = digest(variant.tree)
        if name not in seen:
            seen.add(name)
            fresh.append(variant)
    return fresh


def _mutants(change: Change, draw: random.Random) -> Iterator[Variant]:
    """On different lines, of different kinds where there are some."""
    known = [(path, m) for path in _touched(change) for m in mutations(*_new_lines(change, path))]
    draw.shuffle(known)
    lines, kinds = set(), set()
    for fussy in (True, False):
        for path, mutation in known:
            if len(lines) == MUTANTS:
                return
            if (path, mutation.line) in lines or (fussy and mutation.what in kinds):
                continue
            lines.add((path, mutation.line))
            kinds.add(mutation.what)
            yield _with(change, "mutant", path, mutation)


def _swallowed(change: Change, draw: random.Random) -> Iterator[Variant]:
    known = [(path, m) for path in _touched(change) for m in swallowed(*_new_lines(change, path))]
    if known:
        yield _with(change, "errors swallowed", *draw.choice(known))


def _parts(change: Change, draw: random.Random) -> Iterator[Variant]:
    source = without(change.good, change.recipe.tests)
    hunks = telling_hunks(without(change.base, change.recipe.tests), source)
    if len(hunks) < 2:
        return
    singles = list(hunks)
    draw.shuffle(singles)
    made = 0
    for hunk in singles:
        left = drop(change.base, change.good, [hunk])
        if made < HUNKS and _whole(left, hunk.path):
            made += 1
            yield Variant("hunk left out", f"{hunk.path}:{hunk.start + 1}", left)
    for gone in (hunks[len(hunks) // 2 :], hunks[: len(hunks) // 2]):
        left = drop(change.base, change.good, gone)
        if all(_whole(left, path) for path in {hunk.path for hunk in gone}):
            yield Variant("half the task", f"{len(gone)} of {len(hunks)} hunks left out", left)
            return


def _whole(tree: Tree, path: str) -> bool:
    return path not in tree or parses(text(tree, path))


def _touched(change: Change) -> list[str]:
    source = without(change.good, change.recipe.tests)
    base = without(change.base, change.recipe.tests)
    return [
        c.path
        for c in changes(base, source)
        if c.path.endswith(".py") and c.status != "deleted" and _differs(base, source, c.path)
    ]


def _differs(base: Tree, source: Tree, path: str) -> bool:
    new = shape(text(source, path))
    return parses(text(source, path)) and shape(text(base, path)) != new


def _new_lines(change: Change, path: str) -> tuple[str, frozenset[int]]:
    return text(change.good, path), added_lines(change.base, change.good, path)


def _with(change: Change, kind: str, path: str, mutation: Mutation) -> Variant:
    tree = {**change.good, path: mutation.source.encode()}
    return Variant(kind, f"{path}:{mutation.line} {mutation.what}", tree)


def hard_coding(change: Change, runner: Runner) -> list[Variant]:
    """The base with the answers that the shown tests ask for; None where no entry gives any."""
    recipe = change.recipe
    if not recipe.entries:
        return []
    tree = recorder(change.with_all_tests(change.good), recipe.root, change.shown, recipe.entries)
    command = recipe.command.replace(" -m pytest", f" -m pytest -p {PLUGIN}", 1)
    ran = runner.run(tree, command, change.allowed, Beside(report=TOLD))
    return _answers(change, ran)


def _answers(change: Change, ran: Ran) -> list[Variant]:
    if ran.result.left is None:
        return []
    tree = hard_coded(change.base, change.recipe.root, json.loads(ran.result.left))
    what = f"the answers of {len(change.shown)} tests"
    return [Variant("hard-coded", what, tree)] if tree is not None else []


def tampering(change: Change, broken: list[tuple[Variant, frozenset[str]]]) -> list[Variant]:
    """Variants whose broken tests are made to look away; each in another way, in turn."""
    ways = sorted(WAYS)
    turn = drawn(change).randrange(len(ways))
    found: list[Variant] = []
    for variant, failing in broken:
        if len(found) == MOST_TAMPERED or not 0 < len(failing) <= MOST_FAILING:
            continue
        how = ways[(turn + len(found)) % len(ways)]
        tests = tampered(part(variant.tree, change.recipe.tests), failing, how)
        if tests is not None:
            found.append(Variant(how, variant.what, {**variant.tree, **tests}))
    return found
