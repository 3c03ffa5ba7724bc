"""Planted defects are what they are called, made the same way each time, and counted rightly."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.figures import Broken
from benchmarks.proof import defects, further, table
from benchmarks.proof.cases import RIGHT, UNSHOWN, WRONG, Outcome, outcome_of
from benchmarks.proof.corpus import Change, names_all_known, read_pair, tamed
from benchmarks.proof.defects import GOOD, KINDS, Variant, planted
from benchmarks.proof.execute import Runner, lay
from benchmarks.proof.gates import ALONE, gates, vetoed
from benchmarks.proof.hardcoding import hard_coded
from benchmarks.proof.imports import without_idle_imports
from benchmarks.proof.mutations import mutations, swallowed
from benchmarks.proof.parts import parts_of
from benchmarks.proof.plant import outcomes_of
from benchmarks.proof.recipes import Recipe, Release, recipes
from benchmarks.proof.tampering import WAYS, tampered
from benchmarks.proof.trees import added_lines, changes, digest, drop, telling_hunks, text
from benchmarks.proof.whole import abstained, across_projects, judged

from muster.domain.verdict import Finding, Severity

OLD = {
    "sums.py": b'''"""Sums."""


def total(values):
    """All together."""
    result = 0
    for value in values:
        result += value
    return result
''',
    "tests/test_sums.py": b"""from sums import total


def test_total():
    assert total([1, 2]) == 3
""",
}
NEW = {
    "sums.py": b'''"""Sums."""

LIMIT = 10


def total(values):
    """All of them together."""
    result = 0
    for value in values:
        if value is None:
            raise ValueError("not a number")
        result += value
    return result


def mean(values):
    """The middle."""
    known = list(values)
    if not known:
        return 0
    return total(known) / len(known)
''',
    "tests/test_sums.py": b"""import pytest
import sums
from sums import total


def test_total():
    assert total([1, 2]) == 3


def test_none():
    with pytest.raises(ValueError):
        total([None])


def test_mean():
    assert sums.mean([2, 4]) == 3


def test_mean_of_nothing():
    assert sums.mean([]) == 0


def test_mean_of_one():
    assert sums.mean([7]) == 7


def test_limit():
    assert sums.LIMIT == 10
""",
}
RECIPE = Recipe(
    name="sums",
    command="python -m pytest -q -p no:cacheprovider tests",
    keep=("sums.py", "tests/"),
    tests=("tests/",),
    needs=(),
    releases=(Release("1", "0" * 64), Release("2", "0" * 64)),
    entries=("sums:mean",),
)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    folder = tmp_path_factory.mktemp("proof")
    return Runner(folder / "cache", Path(sys.prefix), ".", 2, folder / "slots")


@pytest.fixture(scope="module")
def change(runner: Runner) -> Change:
    found = read_pair(RECIPE, runner, ("1", OLD), ("2", NEW))
    assert isinstance(found, Change), found
    return found


@pytest.fixture(scope="module")
def outcomes(change: Change, runner: Runner) -> list[Outcome]:
    return outcomes_of(change, runner, lambda ask, variants: list(map(ask, variants)))


# --- the recipes ----------------------------------------------------------------------------------


def test_every_source_is_pinned_by_its_hash_and_every_package_by_its_version() -> None:
    known = recipes()
    assert len(known) >= 3
    for recipe in known:
        assert len({r.version for r in recipe.releases}) == len(recipe.releases)
        assert all(re.fullmatch("[0-9a-f]{64}", r.sha256) for r in recipe.releases)
        assert all("==" in need for need in recipe.needs), recipe.name


# --- imports of a part ---

BEFORE = "from math import sin\nimport os\n\n\ndef a():\n    return sin(os.sep)\n"


@pytest.mark.parametrize(
    ("brings", "keeps"),
    [
        ("from math import e, sin\n", "from math import sin\n"),
        ("from math import (\n    e,\n    sin,\n)\nimport re\n", "from math import sin\n"),
        ("from math import sin\nimport re as e\n", "from math import sin\n"),
    ],
)
def test_a_part_brings_no_import_that_only_others_use(brings: str, keeps: str) -> None:
    """A handler's own `e` is not the module's."""
    own = "def b():\n    try:\n        a()\n    except OSError as e:\n        return e.errno\n"
    rest = BEFORE.partition("\n")[2] + own
    assert without_idle_imports(BEFORE, brings + rest) == keeps + rest


@pytest.mark.parametrize(
    "use",
    [
        "def b():\n    return e\n",
        "class B:\n    b = e\n",
        "b = e\n",
        "__all__ = ['e']\n",
        "def b():\n    return lambda: e * 2\n",
    ],
)
def test_a_part_keeps_the_imports_that_it_uses_and_those_that_were_there(use: str) -> None:
    brings = BEFORE.replace("import sin", "import e, sin").replace("sin(os.sep)", "1") + use
    assert without_idle_imports(BEFORE, brings) == brings


# --- parts of a change ----------------------------------------------------------------------------


def test_a_hunk_that_only_changes_words_is_no_part_of_the_work() -> None:
    told = telling_hunks(OLD, NEW)
    source = [hunk for hunk in told if hunk.path == "sums.py"]
    assert len(source) == 3
    assert not any("together" in line for hunk in source for line in hunk.new)


def test_what_is_dropped_is_as_it_was_and_the_rest_as_it_became() -> None:
    _, _, mean = (hunk for hunk in telling_hunks(OLD, NEW) if hunk.path == "sums.py")
    left = text(drop(OLD, NEW, [mean]), "sums.py")
    assert "def mean" not in left
    assert "raise ValueError" in left
    assert digest(drop(OLD, NEW, [])) == digest(NEW)


def test_a_file_that_the_change_brought_is_gone_when_it_is_dropped() -> None:
    new = {**NEW, "more.py": b"x = 1\n"}
    (hunk,) = (hunk for hunk in telling_hunks(OLD, new) if hunk.path == "more.py")
    assert "more.py" not in drop(OLD, new, [hunk])


def test_added_lines_are_those_of_the_result() -> None:
    assert added_lines({"a": b"1\n2\n3\n"}, {"a": b"1\nx\n3\n4\n"}, "a") == {2, 4}
    (changed,) = changes({"a": b"1\n2\n"}, {"a": b"1\nx\ny\n"})
    assert (changed.status, changed.added, changed.removed) == ("modified", 2, 1)


# --- defects --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "what", "after"),
    [
        ("x = a < b", "another comparison", "x = (a <= b)"),
        ("x = a and b", "and for or, or the other way round", "x = (a or b)"),
        ("x = not a", "a not is lost", "x = (a)"),
        ("x = a + b", "another operator", "x = (a - b)"),
        ("x = 3", "off by one", "x = 4"),
        ("x = True", "the other truth value", "x = False"),
        ("x = 'word'", "a text is lost", "x = ''"),
        ("x = a if b else c", "the other branch", "x = (c if b else a)"),
        ("call(1)", "a statement is lost", "pass"),
    ],
)
def test_a_mutant_has_the_fault_that_it_is_called_by(line: str, what: str, after: str) -> None:
    found = {m.what: m.source for m in mutations(f"y = 0\n{line}\n", frozenset({2}))}
    assert found[what] == f"y = 0\n{after}\n"


def test_words_and_annotations_are_not_mutated_nor_lines_that_were_there() -> None:
    source = 'def f(x: "int" = None) -> "str":\n    """Words."""\n    raise ValueError("no")\n'
    assert {m.what for m in mutations(source, frozenset({1, 2, 3}))} == {"a statement is lost"}
    assert mutations(source, frozenset()) == []


def test_swallowed_errors_are_no_errors_any_more() -> None:
    source = 'class A:\n    def f(self):\n        """Words."""\n        raise ValueError("no")\n'
    (found,) = swallowed(source, frozenset({4}))
    room: dict[str, type] = {}
    exec(found.source, room)
    assert room["A"]().f() is None
    assert room["A"].f.__doc__ == "Words."


@pytest.mark.parametrize("how", sorted(WAYS))
def test_tests_that_look_away_pass_whatever_the_code_does(how: str, runner: Runner) -> None:
    bad = {"sums.py": b"def total(values):\n    return 0\n"}
    tests = {"tests/test_sums.py": OLD["tests/test_sums.py"]}
    before = runner.run({**bad, **tests}, RECIPE.command).result
    assert before.failing == {"tests.test_sums::test_total"}
    made = tampered(tests, before.failing, how)
    assert made is not None
    after = runner.run({**bad, **made}, RECIPE.command).result
    assert after.exit_code == 0
    assert after.having("skipped" if how == "skipped" else "passed") == before.failing


def test_a_part_that_leaves_a_name_undefined_is_no_change(runner: Runner) -> None:
    loose = {**OLD, "sums.py": OLD["sums.py"] + b"\n\ndef most(v):\n    return larger(v)\n"}
    assert names_all_known(OLD, OLD, RECIPE, runner)
    assert not names_all_known(OLD, loose, RECIPE, runner)
    assert names_all_known(loose, loose, RECIPE, runner)


def test_only_the_named_method_of_a_class_looks_away() -> None:
    source = b"""from unittest import TestCase


class Sums(TestCase):
    def test_one(self):
        self.assertEqual(1, 1)

    @staticmethod
    def test_two():
        assert 2 == 1

    def test_three(self):
        self.assertEqual(3, 3)
"""
    for how in WAYS:
        made = tampered({"tests/test_a.py": source}, {"tests.test_a.Sums::test_two"}, how)
        assert made is not None
        after = made["tests/test_a.py"].decode()
        assert "assertEqual(1, 1)" in after
        assert "assertEqual(3, 3)" in after
        assert ("assert 2 == 1" in after) is (how == "skipped")
        assert "    @staticmethod\n    def test_two():" in after


def test_a_test_that_is_not_there_cannot_be_made_to_look_away() -> None:
    tests = {"tests/test_sums.py": OLD["tests/test_sums.py"]}
    assert tampered(tests, {"tests.test_sums::test_gone"}, "skipped") is None


def test_hard_coded_answers_come_before_the_code() -> None:
    tree = hard_coded(OLD, ".", {"sums:total": {"(([9],), [])": "'known'"}})
    assert tree is not None
    room: dict[str, object] = {}
    exec(text(tree, "sums.py"), room)
    assert room["total"]([9]) == "known"  # type: ignore[operator]
    assert room["total"]([9, 1]) == 10  # type: ignore[operator]
    assert hard_coded(OLD, ".", {"sums:total": {}}) is None


def test_the_same_change_is_given_the_same_defects(change: Change) -> None:
    first, again = ([(v.kind, v.what, digest(v.tree)) for v in planted(change)] for _ in range(2))
    assert first == again
    assert len({name for _, _, name in first}) == len(first)
    assert {kind for kind, _, _ in first} == {
        *("mutant", "hunk left out", "half the task", "errors swallowed")
    }


# --- one change from its releases to the table ----------------------------------------------------


def test_the_tests_that_a_release_owes_are_those_that_fail_without_it(change: Change) -> None:
    names = ("none", "mean", "mean_of_nothing", "mean_of_one", "limit")
    assert change.owed == tuple(f"tests.test_sums::test_{name}" for name in names)
    assert change.kept == {"tests.test_sums::test_total"}
    assert change.given == change.owed[::2]
    assert change.shown == (change.owed[0], change.owed[4])


@pytest.mark.long
def test_a_release_that_breaks_tests_is_taken_without_the_part_that_does(runner: Runner) -> None:
    source = NEW["sums.py"].replace(b"    result = 0\n", b"    result = 100\n")
    tests = NEW["tests/test_sums.py"].replace(b"[1, 2]) == 3", b"[1, 2]) == 103")
    new = {"sums.py": source, "tests/test_sums.py": tests.replace(b"== 3", b"== 53")}
    found = read_pair(RECIPE, runner, ("1", OLD), ("2", new))
    assert isinstance(found, Change)
    assert found.broken == ("tests.test_sums::test_total",)
    rest = tamed(found, runner)
    assert isinstance(rest, str) or not rest.broken


@pytest.mark.long
def test_a_release_of_two_things_is_two_changes(runner: Runner) -> None:
    old = {
        "words.py": b'"""Words."""\n\n__all__ = [\n    "upper",\n]\n\n\ndef upper(w):\n'
        b"    return w.upper()\n",
        "tests/test_words.py": b"import words\n\n\ndef test_upper():\n"
        b'    assert words.upper("a") == "A"\n',
    }
    source = old["words.py"].replace(b'"upper",\n', b'"upper",\n    "first",\n    "last",\n')
    for name, at in ((b"first", b"0"), (b"last", b"-1")):
        source += b"\n\ndef %s(w):\n    return w[%s] if w else None\n" % (name, at)
    tests = old["tests/test_words.py"]
    for name, want in ((b"first", b"a"), (b"last", b"b")):
        for case, value in ((b"ab", b'"%s"' % want), (b"", b"None")):
            tests += b'\n\ndef test_%s_of_%d():\n    assert words.%s("%s") == %s\n' % (
                *(name, len(case), name, case, value),
            )
    new = {"words.py": source, "tests/test_words.py": tests}
    whole = read_pair(RECIPE, runner, ("1", old), ("2", new))
    assert isinstance(whole, Change), whole
    parts = parts_of(whole, runner)
    assert [part.part for part in parts] == ["first", "last"]
    for part, other in zip(parts, ("last", "first"), strict=True):
        assert f"def {part.part}" in text(part.good, "words.py")
        assert f"def {other}" not in text(part.good, "words.py")
        assert len(part.owed) == 2
        assert all(part.part in test for test in part.owed)


@pytest.mark.long
def test_every_kind_of_defect_is_made_and_judged(outcomes: list[Outcome]) -> None:
    (good,) = (o for o in outcomes if o.kind == GOOD)
    assert good.truth == RIGHT
    assert good.alone
    assert not vetoed(good)
    wrong = {o.kind for o in outcomes if o.truth == WRONG}
    assert {"mutant", "hunk left out", "half the task"} <= wrong
    assert {o.kind for o in outcomes} <= {GOOD, *KINDS}


@pytest.mark.long
def test_work_that_only_answers_the_shown_tests_is_wrong(change: Change, runner: Runner) -> None:
    shown = replace(change, owed=change.owed[1:4])
    (variant,) = defects.hard_coding(shown, runner)
    assert "_ANSWERS_0" in text(variant.tree, "sums.py")


def test_a_defect_hidden_by_a_skipped_test_is_seen_by_its_gate(
    change: Change, runner: Runner
) -> None:
    tree = {**change.good, "sums.py": change.good["sums.py"].replace(b"= 0\n", b"= 1\n")}
    failing = frozenset({"tests.test_sums::test_total"})
    hidden = defects.tampering(change, [(Variant("mutant", "", tree), failing)])
    (outcome,) = (outcome_of(change, variant, runner) for variant in hidden)
    assert outcome.truth == WRONG
    by_gate = gates([outcome])
    assert by_gate[ALONE] == [True]
    assert by_gate["+ tests weakened"] == [False]


def test_what_was_run_before_is_not_run_again(change: Change, runner: Runner) -> None:
    made = runner.made
    runner.run(change.base, RECIPE.command)
    assert runner.made == made


def test_a_slot_holds_the_files_of_the_next_tree_and_no_old_code(tmp_path: Path) -> None:
    lay(tmp_path, {"a/x.py": b"x = 1\n", "b.py": b"y = 1\n"})
    cached = tmp_path / "a" / "__pycache__" / "x.cpython-311.pyc"
    cached.parent.mkdir()
    cached.write_bytes(b"old")
    (tmp_path / "left.txt").write_bytes(b"by a test")
    lay(tmp_path, {"a/x.py": b"x = 2\n"})
    assert (tmp_path / "a" / "x.py").read_bytes() == b"x = 2\n"
    assert not cached.exists()
    assert not (tmp_path / "b.py").exists()
    assert not (tmp_path / "left.txt").exists()


# --- the table ------------------------------------------------------------------------------------

PASSED = Finding("acceptance.passed", Severity.OK, "", {"tests": 2})
FAILED = Finding("acceptance.failed", Severity.VETO, "", {"tests": 2})
GREEN = Finding("tests.green", Severity.OK, "")


def made(change: str, truth: str, *findings: Finding, alone: bool = True) -> Outcome:
    kind = GOOD if truth == RIGHT else "mutant"
    spent = {"tests": 2.0, "acceptance": 1.0}
    return Outcome(
        "p", change, kind, "", truth, 0, alone, (GREEN, *findings), spent, spent, 2.0, 2.0
    )


def test_shares_are_of_their_own_kind() -> None:
    outcomes = [
        made("a", RIGHT, PASSED),
        made("a", RIGHT, FAILED),
        made("a", WRONG, FAILED),
        made("a", WRONG, FAILED),
        made("a", WRONG, PASSED),
        made("a", UNSHOWN, PASSED),
    ]
    found = {
        row.gate: row for row in (table.row(g, outcomes, a) for g, a in gates(outcomes).items())
    }
    alone, last = found[ALONE], found["+ acceptance"]
    assert (alone.wrong_accepted, alone.good_refused, alone.precision) == (1.0, 0.0, 0.5)
    assert last.wrong_accepted == pytest.approx(1 / 3)
    assert last.good_refused == 0.5
    assert last.untold_accepted == 1.0
    assert last.precision == pytest.approx(2 / 3)


def test_the_cost_is_what_comes_on_top_of_the_base_run() -> None:
    assert table.cost([made("a", RIGHT, PASSED)]) == 1.5


def test_a_stage_that_nobody_has_is_no_column() -> None:
    outcomes = [made("a", RIGHT, PASSED)]
    assert "+ mutants" not in gates(outcomes)
    told = Finding("mutants.changed", Severity.NOTE, "", {"share": 1.0})
    assert "+ mutants" in gates([made("a", RIGHT, told)])


def test_the_model_never_sees_the_change_that_it_judges() -> None:
    """A change whose labels are all turned around gets the probabilities of the others' rule."""
    straight = [
        made(f"c{n}", truth, finding)
        for n in range(8)
        for truth, finding in ((RIGHT, PASSED), (WRONG, FAILED))
    ]
    turned = [made("odd", WRONG, PASSED), made("odd", RIGHT, FAILED)]
    whole = judged([*straight, *turned], acceptance=True)
    assert whole.probabilities[-2] > 0.5 > whole.probabilities[-1]


def test_parts_of_one_release_have_no_say_in_each_other() -> None:
    """Two parts whose labels are turned around do not teach each other that this is the rule."""
    straight = [
        made(f"p {n}..{n + 1}", truth, finding)
        for n in range(8)
        for truth, finding in ((RIGHT, PASSED), (WRONG, FAILED))
    ]
    turned = [
        made(f"p 8..9 {part}", truth, finding)
        for part in ("first", "last")
        for truth, finding in ((WRONG, PASSED), (RIGHT, FAILED))
    ]
    alone = judged([*straight, *turned[:2]], acceptance=True).probabilities[-2:]
    beside = judged([*straight, *turned], acceptance=True).probabilities[-2:]
    assert beside == pytest.approx(alone)


def test_another_project_is_judged_by_what_the_others_taught() -> None:
    rows = ((RIGHT, PASSED), (WRONG, FAILED))
    own = [made(f"c{n}", truth, finding) for n in range(4) for truth, finding in rows]
    other = [replace(made("o", truth, finding), project="q") for truth, finding in rows]
    assert across_projects(own) is None
    found = across_projects([*own, *other])
    assert found is not None
    assert found.auc == 1.0


def test_without_acceptance_tests_muster_says_nothing_of_what_nothing_speaks_against() -> None:
    broken = Finding("tests.broken", Severity.VETO, "")
    assert abstained([made("a", RIGHT, PASSED), made("a", WRONG, FAILED)]) == 1.0
    assert abstained([made("a", WRONG, broken, FAILED), made("a", RIGHT, PASSED)]) == 1.0


def test_a_looser_bound_never_accepts_less() -> None:
    outcomes = [
        made(f"c{n}", truth, finding)
        for n in range(8)
        for _ in range(6)
        for truth, finding in ((RIGHT, PASSED), (WRONG, FAILED))
    ]
    accepted = [sum(each) for each in judged(outcomes, acceptance=True).accepted_at.values()]
    assert accepted == sorted(accepted)
    assert (accepted[0], accepted[-1]) == (0, 48)


def test_a_set_is_not_judged_without_a_stage_that_muster_has() -> None:
    assert "coverage" in further.stages()
    with pytest.raises(Broken, match="nonesuch"):
        further.stages(("coverage", "nonesuch"))


def test_without_acceptance_tests_it_does_not_accept_what_it_cannot_tell_apart() -> None:
    outcomes = [
        made(f"c{n}", truth, finding)
        for n in range(8)
        for _ in range(10)
        for truth, finding in ((RIGHT, PASSED), (WRONG, FAILED))
    ]
    assert sum(judged(outcomes, acceptance=True).accepted) == 80
    assert not any(judged(outcomes, acceptance=False).accepted)
