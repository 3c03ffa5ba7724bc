"""Faults are put into added lines, and tests that look at them notice; by really running them."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace

import pytest

from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Severity
from muster.supervision.mutants import LEAST, WIDEST, Chosen, Mutants, interval, judged, read_report
from muster.supervision.mutation import mutants_of, mutated, sampled
from muster.supervision.stage import Case
from supervision.test_covered import BASE, CALC, added
from supervision.trees import PYTEST, changes, drive, plan_of

SIGN = "\n\ndef sign(a):\n    if a > 0:\n        return 1\n    return -1\n"
STRONG = (
    "from calc import sign\n\n\ndef test_sign():\n"
    "    assert [sign(a) for a in (2, 1, 0, -1)] == [1, 1, -1, -1]\n"
)
WEAK = "from calc import sign\n\n\ndef test_sign():\n    assert sign(5) in (1, -1)\n"


@pytest.fixture
def told(tmp_path):
    """The one finding about a step, and the runs that it took."""

    def ask(base, result, command=PYTEST, **more):
        settings = replace(ProjectSettings(test_command=command), **more)
        plan = plan_of(TaskType.CHORE, base, result, settings)
        case = Case(
            TaskType.CHORE, settings, plan, (), changes(base, result), added(base, result),
            result.get, seed="s",
        )  # fmt: skip
        said, runs = drive(Mutants(), case, base, result, tmp_path)
        return said.findings[0] if said.findings else None, runs

    return ask


@pytest.mark.long
def test_tests_that_look_closely_notice_every_fault(told):
    found, runs = told(BASE, BASE | {"calc.py": CALC + SIGN, "tests/test_sign.py": STRONG})
    assert found.code == "mutants.changed"
    assert found.evidence["survivors"] == []
    assert found.evidence["killed"] == found.evidence["sample"] >= 6
    enough = found.evidence["sample"] >= LEAST
    assert (found.severity is Severity.OK, found.evidence["enough"]) == (enough, enough)
    assert [run.name for run in runs] == ["seen", "faults"]


def test_tests_that_look_at_little_let_faults_live(told):
    found, _ = told(BASE, BASE | {"calc.py": CALC + SIGN, "tests/test_sign.py": WEAK})
    lived = {(s["line"], s["what"]) for s in found.evidence["survivors"]}
    assert (6, "another comparison: a > 0 → (a >= 0)") in lived
    assert (6, "a condition turned round: a > 0 → (not (a > 0))") in lived
    assert found.evidence["survived"] >= 2
    assert found.evidence["killed"] >= 1
    assert found.severity is Severity.NOTE


def test_lines_that_no_test_reaches_are_told_apart_from_faults_that_live(told):
    found, runs = told(BASE, BASE | {"calc.py": CALC + SIGN})
    assert found.evidence["sample"] == 0
    assert found.evidence["untested"] >= 6
    assert [run.name for run in runs] == ["seen"]


@pytest.mark.long
def test_a_fault_without_end_is_noticed(told):
    endless = "\n\ndef down(a):\n    while a > 0:\n        a -= 1\n    return a\n"
    test = "from calc import down\n\n\ndef test_down():\n    assert down(3) == 0\n"
    found, _ = told(BASE, BASE | {"calc.py": CALC + endless, "tests/test_down.py": test})
    # `a -= 1` left out never ends; `a > 0` as `a >= 0` gives -1.
    lived = {s["what"] for s in found.evidence["survivors"]}
    assert not any("left out" in what or "comparison" in what for what in lived)


def test_a_test_that_writes_the_report_itself_is_not_believed(told):
    forged = (
        "import json, os, pathlib\nfrom calc import sign\n\n\ndef test_sign():\n"
        "    told = json.dumps({'first': 'passed', 'took': 1.0, 'ended': {}})\n"
        "    path = pathlib.Path(os.environ['MUSTER_GIVEN'], 'mutants.json')\n"
        "    path.write_text(json.dumps({'told': told, 'signed': '0' * 64}))\n"
        "    path.chmod(0o400)\n"
        "    path.with_suffix('.draft').mkdir(exist_ok=True)\n    assert sign(5) == 1\n"
    )
    found, _ = told(BASE, BASE | {"calc.py": CALC + SIGN, "tests/test_sign.py": forged})
    assert found.code == "mutants.unknown"
    assert "no report of its own" in found.evidence["why"]


def test_tests_that_fail_by_themselves_tell_nothing(told):
    first = "STATE = []\n\n\ndef test_first():\n    STATE.append(1)\n\n\n"
    alone = f"{first}{WEAK}    assert STATE\n"
    found, _ = told(BASE, BASE | {"calc.py": CALC + SIGN, "tests/test_sign.py": alone})
    assert found.code == "mutants.unknown"


def test_without_pytest_it_is_not_known(told):
    found, runs = told(BASE, BASE | {"calc.py": CALC + SIGN}, command="make test")
    assert (found.code, runs) == ("mutants.unknown", [])


CODE = '''"""Words."""
import logging
__all__ = ["f"]


def f(a: int = 3, *, b: str = "x") -> int:
    """More words."""
    logging.info("a %s", a)
    for c in range(a):
        if not c and a >= 2 or b in "xy":
            continue
        a += c * 2
        print(f"{a + 1}")
    g = [a, -b][0] if b else None
    try:
        f(1)
    except ValueError:
        raise RuntimeError("no" + b)
    return g == a
'''


def test_faults_change_what_runs_and_leave_words_alone():
    found = mutants_of("a.py", CODE, range(1, 100))
    kinds = {(m.line, m.what.partition(":")[0]) for m in found}
    assert kinds >= {
        (6, "another constant"), (6, "another text"), (10, "another comparison"),
        (10, "and for or"), (10, "without its sign"), (11, "break instead"), (12, "left out"),
        (12, "another operator"), (14, "the branches exchanged"), (16, "left out"),
        (18, "nothing raised"), (19, "nothing returned"), (19, "another comparison"),
    }  # fmt: skip
    assert not {m.line for m in found} & {1, 7, 8, 13}
    assert not any(m.what.startswith("another text") for m in found if m.line == 18)
    assert len({m.id for m in found}) == len(found)


@pytest.mark.parametrize("text", [CODE, "é = 'ü' + 'x' if 3 > 2 else 4\n", "a = (1 +\n     2)\n"])
def test_every_fault_can_be_loaded_and_changes_its_own_place_alone(text):
    found = mutants_of("a.py", text, range(1, 100))
    assert found
    for mutant in found:
        whole = mutated(text, mutant)
        assert whole is not None, mutant
        assert whole != text
        assert whole.encode()[: mutant.start] == text.encode()[: mutant.start]
        assert whole.encode().endswith(text.encode()[mutant.end :])


def test_only_added_lines_get_faults():
    assert {m.line for m in mutants_of("a.py", CODE, [10, 19])} == {10, 19}


def test_a_sample_is_the_same_for_a_seed_and_takes_every_line_first():
    every = mutants_of("a.py", CODE, range(1, 100))
    lines = {m.line for m in every}
    first = sampled(every, "one", len(lines))
    assert first == sampled(every, "one", len(lines))
    assert {m.line for m in first} == lines
    assert sampled(every, "two", len(lines)) != first
    assert sorted(m.id for m in sampled(every, "one", 999)) == sorted(m.id for m in every)


def test_how_many_faults_are_enough_follows_from_how_sure_it_makes():
    def width(killed, sample):
        low, high = interval(killed, sample)
        assert 0 <= low <= killed / sample <= high <= 1
        return high - low

    assert width(10, 20) > WIDEST > width(11, 22)
    assert width(LEAST, LEAST) < WIDEST
    assert interval(0, 0) == (0.0, 1.0)


def _report(told: str, secret: str) -> str:
    signed = hmac.new(secret.encode(), told.encode(), "sha256").hexdigest()
    return json.dumps({"told": told, "signed": signed})


def test_a_report_is_read_only_when_it_says_what_was_asked():
    (mutant, *_) = mutants_of("a.py", CODE, [19])
    chosen = Chosen(((mutant, ("t",)),), ())
    good = json.dumps({"first": "passed", "took": 1, "ended": {mutant.id: "timeout"}})
    ended = read_report(_report(good, "s"), "s", chosen)
    assert ended == {mutant.id: "timeout"}
    assert judged(chosen, ended).evidence["killed"] == 1
    unsaid = ["", "[]", "{}", _report(good, "another"), _report("[]", "s"), "[" * 9000]
    unsaid += [_report(good.replace("timeout", "fine"), "s")]
    unsaid += [_report(good.replace(mutant.id, "another"), "s")]
    unsaid += [_report(good.replace('"passed"', '"failed"'), "s")]
    assert all(isinstance(read_report(left, "s", chosen), str) for left in (None, *unsaid))
