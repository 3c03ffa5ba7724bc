"""From recipes to outcomes: reads the releases, plants the defects, and runs them all."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.proof.cases import Outcome, outcome_of
from benchmarks.proof.corpus import Change, read_pair, tamed
from benchmarks.proof.defects import GOOD, Variant, hard_coding, planted, tampering
from benchmarks.proof.execute import Runner
from benchmarks.proof.parts import parts_of
from benchmarks.proof.recipes import Recipe, builders
from benchmarks.proof.sources import environment, source
from benchmarks.proof.trees import Tree

AT_ONCE = 2
Pair = tuple[tuple[str, Tree], tuple[str, Tree]]


@dataclass
class Planted:
    """What came of some projects."""

    outcomes: list[Outcome] = field(default_factory=list)
    contrary: list[str] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)


def plant(cache: Path, found: Sequence[Recipe], limit: int | None = None) -> Planted:
    """Every outcome of these projects; of each at most `limit` changes, the newest first."""
    whole = Planted()
    builder = environment(cache, "builders", builders())
    with tempfile.TemporaryDirectory(prefix="muster-proof-") as scratch:
        for recipe in found:
            place = environment(cache, recipe.environment, recipe.needs)
            say(f"{recipe.name}: {len(recipe.pairs)} pairs of releases")
            pairs = [
                tuple((r.version, source(cache, builder, recipe, r)) for r in pair)
                for pair in recipe.pairs
            ]
            runner = Runner(cache, place, recipe.root, AT_ONCE, Path(scratch) / recipe.name)
            _project(whole, recipe, runner, pairs, limit)
    return whole


def _project(
    whole: Planted,
    recipe: Recipe,
    runner: Runner,
    pairs: Sequence[Pair],
    limit: int | None,
) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def read_one(pair: Pair) -> Change | str:
            found = read_pair(recipe, runner, *pair)
            told = found if isinstance(found, str) else f"{len(found.owed)} tests show the change"
            say(f"  {pair[0][0]}..{pair[1][0]}: {told}")
            return found

        read = list(pool.map(read_one, pairs))
        good: list[Change] = []
        for (before, after), change in zip(pairs, read, strict=True):
            if isinstance(change, str):
                whole.passed_over[f"{recipe.name} {before[0]}..{after[0]}"] = change
                continue
            if change.broken:
                whole.contrary.append(change.name)
            if parts := parts_of(change, runner):
                good += parts
            elif not change.broken:
                good.append(change)
            elif isinstance(rest := tamed(change, runner), str):
                whole.passed_over[change.name] = rest
            else:
                good.append(rest)
        for change in good[::-1][:limit]:
            made = outcomes_of(change, runner, lambda ask, them: list(pool.map(ask, them)))
            whole.outcomes += made
            say(f"  {change.name}: {len(made)} cases, {runner.made} runs so far")


Each = Callable[[Callable[[Variant], Outcome], Sequence[Variant]], list[Outcome]]


def outcomes_of(change: Change, runner: Runner, each: Each) -> list[Outcome]:
    """The good change, its defective variants, and those whose broken tests look away."""

    def ask(variant: Variant) -> Outcome:
        return outcome_of(change, variant, runner)

    first = [Variant(GOOD, "", change.good), *planted(change), *hard_coding(change, runner)]
    found = each(ask, first)
    broken = [
        (variant, frozenset(outcome.broken))
        for variant, outcome in zip(first, found, strict=True)
        if outcome.broken and variant.kind != GOOD
    ]
    return [*found, *each(ask, tampering(change, broken))]


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
