"""Good changes: what a release changed, told apart from its tests, and which tests it made pass."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.proof.execute import PATIENCE, Ran, Runner
from benchmarks.proof.recipes import Recipe
from benchmarks.proof.trees import (
    Hunk,
    Tree,
    drop,
    hunks_of,
    parses,
    part,
    place_of,
    telling_hunks,
    text,
    without,
)
from muster.supervision.evidence import PASSED

FEWEST = 2
"""A change is of use when so many tests fail without it: one for the gate, one for the truth."""
MOST_GROUPS = 16
"""A release with more parts is not taken apart: each part is a run."""
LEAST_SECONDS = 5.0
FIRST_SECONDS = 40.0


@dataclass(frozen=True)
class Change:
    """One good change: `base` and `good` (both with the base's tests), and the release's `tests`.

    Of the tests that fail on the base and pass with the change, `given` are the acceptance tests,
    every other one in the order of the report; of those the coder sees every other one (`shown`).
    `owed` are all that fail without and pass with the change, `kept` those that pass on both;
    `broken` are tests of the base that fail with it. `part` names the one definition that it is.
    """

    recipe: Recipe
    version: str
    after: str
    base: Tree
    good: Tree
    tests: Tree
    owed: tuple[str, ...]
    kept: frozenset[str]
    seconds: float
    broken: tuple[str, ...] = ()
    part: str = ""

    @property
    def name(self) -> str:
        """The project, its two versions, and the definition where it is only that."""
        whole = f"{self.recipe.name} {self.after}..{self.version}"
        return f"{whole} {self.part}".strip()

    @property
    def given(self) -> tuple[str, ...]:
        """The acceptance tests that a gate may run."""
        return self.owed[::2]

    @property
    def shown(self) -> tuple[str, ...]:
        """Those of them that the coder may see."""
        return self.given[::2]

    @property
    def allowed(self) -> float:
        """Processor seconds until a run counts as endless."""
        return max(LEAST_SECONDS, PATIENCE * self.seconds)

    def with_all_tests(self, tree: Tree) -> dict[str, bytes]:
        """A tree under the release's own tests."""
        return {**without(tree, self.recipe.tests), **self.tests}


def read_pair(
    recipe: Recipe, runner: Runner, after: tuple[str, Tree], version: tuple[str, Tree]
) -> Change | str:
    """The change between two releases, or why it is of no use."""
    old, new = after[1], version[1]
    tests = part(new, recipe.tests)
    good = {**without(new, recipe.tests), **part(old, recipe.tests)}
    if not telling_hunks(without(old, recipe.tests), without(new, recipe.tests)):
        return "no code changed"
    if functions(part(old, recipe.tests)) == functions(tests):
        return "no test changed"
    base = runner.run(old, recipe.command, FIRST_SECONDS)
    most = max(LEAST_SECONDS, PATIENCE * base.cpu)
    whole = runner.run(new, recipe.command, most)
    if not base.result.tests or not whole.result.tests:
        return "its tests do not run here"
    if not base.result.having(PASSED):
        return "no test of the release before it runs here"
    proof = runner.run({**without(old, recipe.tests), **tests}, recipe.command, most)
    owed = _owed(base, whole, proof, part(old, recipe.tests), tests)
    if len(owed) < FEWEST:
        return f"{len(owed)} tests show the change"
    again = runner.run(new, f"{recipe.command} ", most).result.having(PASSED)
    passed = whole.result.having(PASSED) & again
    owed = tuple(test for test in owed if test in passed)
    own = runner.run(good, recipe.command, most)
    if not own.result.tests:
        return "the tests of the release before do not run with it"
    broken = own.result.failing - base.result.failing
    kept = frozenset(passed & base.result.having(PASSED) - set(owed))
    seconds = max(base.cpu, whole.cpu)
    return Change(
        recipe, version[0], after[0], old, good, tests, owed, kept, seconds, tuple(sorted(broken))
    )


def tamed(change: Change, runner: Runner) -> Change | str:
    """A release that breaks tests of the one before, without the parts that do."""
    recipe = change.recipe
    groups = _groups(without(change.base, recipe.tests), without(change.good, recipe.tests))
    if not 1 < len(groups) <= MOST_GROUPS:
        return f"it changes what tests expect, in {len(groups)} parts"
    every = [hunk for group in groups.values() for hunk in group]
    before = runner.run(change.base, recipe.command, change.allowed).result.failing
    kept: list[Hunk] = []
    for group in groups.values():
        rest = [hunk for hunk in every if hunk not in (*kept, *group)]
        alone = drop(change.base, change.good, rest)
        fine = all(parses(text(alone, h.path)) for h in group if h.path in alone)
        if fine and not runner.run(alone, recipe.command, change.allowed).result.failing - before:
            kept += group
    if not kept:
        return "it changes what tests expect, in every part"
    good = drop(change.base, change.good, [hunk for hunk in every if hunk not in kept])
    if not names_all_known(change.base, good, recipe, runner):
        return "it changes what tests expect; the rest does not stand by itself"
    passed = runner.run(change.with_all_tests(good), recipe.command, change.allowed).result
    owed = tuple(test for test in change.owed if test in passed.having(PASSED))
    if len(owed) < FEWEST:
        return f"it changes what tests expect; {len(owed)} tests show the rest"
    stays = change.kept & passed.having(PASSED)
    return replace(change, good=good, owed=owed, kept=stays, broken=())


def names_all_known(base: Tree, good: Tree, recipe: Recipe, runner: Runner) -> bool:
    """Whether a part taken out of a release stands by itself: no name in it is left undefined."""
    command = f"python -m ruff check --isolated --no-cache --select F821,F822 {recipe.root}"
    before, now = (runner.run(without(tree, recipe.tests), command).result for tree in (base, good))
    return now.exit_code == 0 or now.output.count("F82") <= before.output.count("F82")


def _groups(base: Tree, good: Tree) -> dict[str, list[Hunk]]:
    """The telling hunks by the definition they are in; those outside of all first."""
    found: dict[str, list[Hunk]] = {}
    for hunk in telling_hunks(base, good):
        at = hunk.start + 1
        for other in hunks_of(base, good, hunk.path):
            if other.start < hunk.start:
                at += len(other.new) - len(other.old)
        tree, line = (good, at) if hunk.new else (base, hunk.start + 1)
        name = place_of(tree, hunk, line) or f"{hunk.path}:"
        found.setdefault(name, []).append(hunk)
    return dict(sorted(found.items(), key=lambda pair: not pair[0].endswith(":")))


def _owed(base: Ran, whole: Ran, proof: Ran, old: Tree, new: Tree) -> tuple[str, ...]:
    """The tests that the change makes pass, in the order of the report.

    Where a file cannot be loaded without the change all its tests fail; those whose text is as it
    was, and that passed before, are not the change's.
    """
    before, after = functions(old), functions(new)
    already = proof.result.having(PASSED)
    ran_before = base.result.having(PASSED)

    def same(test: str) -> bool:
        key = key_of(test)
        return test in ran_before and before.get(key) == after.get(key)

    return tuple(
        test
        for test, status in (whole.result.tests or {}).items()
        if status == PASSED and test not in already and not same(test)
    )


_PARAMETERS = re.compile(r"\[.*\]$", re.DOTALL)


def key_of(test: str) -> tuple[str, str]:
    """The last name of a test's class or module, and its function."""
    place, _, name = test.partition("::")
    return place.rpartition(".")[2], _PARAMETERS.sub("", name)


def functions(tests: Tree) -> Mapping[tuple[str, str], str]:
    """The text of every test function, by the class or module it stands in and its name."""
    found = {}
    for path in sorted(tests):
        if not path.endswith(".py"):
            continue
        try:
            module = ast.parse(text(tests, path))
        except (SyntaxError, ValueError):
            continue
        stem = path.rpartition("/")[2].removesuffix(".py")
        for place, node in _definitions(module, stem):
            found[place, node.name] = ast.dump(node)
    return found


def _definitions(module: ast.Module, stem: str):
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            yield stem, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield node.name, inner
