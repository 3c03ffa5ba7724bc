"""How much of what a change adds its tests execute, by really running them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Severity
from muster.supervision.beside import own_file
from muster.supervision.changed_lines import added_numbers, executable
from muster.supervision.coverage_reports import read_report
from muster.supervision.covered import Coverage
from muster.supervision.evidence import RESULT
from muster.supervision.seen import measuring, reach_of, read_seen, watched
from muster.supervision.stage import Case
from supervision.trees import PYTEST, changes, drive, execute, plan_of, tree_of

CALC = "def add(a, b):\n    return a + b\n"
TEST = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
CONF = {"conftest.py": "import sys; sys.path.insert(0, '.')\n"}
BASE = {"calc.py": CALC, "tests/test_calc.py": TEST, **CONF}
HALF = (
    "\n\ndef part(a):\n    '''Of it.'''\n    if a > 3:\n        b = (\n            a -\n"
    "            1\n        )\n    else:\n        b = 2\n    return b\n"
)
TEST_HALF = "from calc import part\n\n\ndef test_part():\n    assert part(5) == 4\n"
UNITTEST = f"'{sys.executable}' -B -m unittest -q"


def added(base, result):
    """The numbers of the lines that were put at the ends of files."""
    return {
        path: tuple(range(base.get(path, "").count("\n") + 1, text.count("\n") + 1))
        for path, text in result.items()
        if text != base.get(path)
    }


@pytest.fixture
def told(tmp_path):
    """The one finding about a step between two trees, with the case it is about."""

    def ask(base, result, where="result", **more):
        settings = replace(ProjectSettings(test_command=PYTEST), **more)
        plan = plan_of(TaskType.CHORE, base, result, settings)
        case = Case(
            TaskType.CHORE, settings, plan, (), changes(base, result), added(base, result),
            result.get,
        )  # fmt: skip
        stage = Coverage()
        ridden = stage.ride(case)
        if ridden is not None:
            check = plan.run(RESULT)
            run = replace(check, command=ridden[0])
            done = execute(run, tree_of(check, base, result), tmp_path / where, ridden[1])
            case = replace(case, results=(done,), rider=ridden[1])
        said, runs = drive(stage, case, base, result, tmp_path)
        assert runs == []
        return said.findings[0] if said.findings else None, case

    return ask


def test_statements_that_no_test_reaches_are_counted_and_named(told):
    result = BASE | {"calc.py": CALC + HALF, "tests/test_part.py": TEST_HALF}
    found, case = told(BASE, result)
    assert case.run(RESULT).exit_code == 0
    assert (found.code, found.severity) == ("coverage.changed", Severity.OK)
    assert {k: found.evidence[k] for k in ("covered", "lines", "share", "by")} == {
        "covered": 4, "lines": 5, "share": 0.8, "by": "calls"
    }  # fmt: skip
    assert found.evidence["missed"] == [{"path": "calc.py", "line": 13}]


def test_each_line_is_told_with_the_tests_that_reach_it(told):
    result = BASE | {"calc.py": CALC + HALF, "tests/test_part.py": TEST_HALF}
    _, case = told(BASE, result)
    seen = read_seen(case.run(RESULT).left)
    (statements,) = watched(case).values()
    by = {s.first: seen.tests_of("calc.py", s) for s in statements}
    reached = ("tests/test_part.py::test_part",)
    assert by == {5: (), 7: reached, 8: reached, 13: (), 14: reached}
    assert list(seen.seconds) == ["tests/test_calc.py::test_add", *reached]


@pytest.mark.parametrize(
    ("of", "covered"),
    [
        (["tests/test_part.py"], 4),
        (["tests/test_part.py::test_part"], 4),
        (["tests/test_calc.py"], 1),
        (["tests/test_p"], 1),
    ],
)
def test_only_the_tests_that_are_asked_about_count(tmp_path, of, covered):
    result = BASE | {"calc.py": CALC + HALF, "tests/test_part.py": TEST_HALF}
    what = {"calc.py": executable(CALC + HALF, added(BASE, result)["calc.py"])}
    command, beside = measuring(PYTEST, what, of)
    plan = plan_of(TaskType.CHORE, BASE, result, ProjectSettings(test_command=PYTEST))
    check = replace(plan.run(RESULT), command=command)
    done = execute(check, result, tmp_path / "run", beside)
    reach = reach_of(what, done.left)
    assert (reach.covered, reach.lines) == (covered, 5)
    assert reach_of({}, done.left) is reach_of(what, "{") is None
    assert measuring(UNITTEST, what, of) is None


def test_code_without_a_test_is_a_note_with_nothing_covered_but_its_head(told):
    found, _ = told(BASE, BASE | {"calc.py": CALC + HALF, "new.py": "A = 1\n\nB = A\n"})
    assert (found.code, found.severity) == ("coverage.changed", Severity.NOTE)
    # `def` alone was executed; the new file was never loaded.
    assert (found.evidence["covered"], found.evidence["lines"]) == (1, 7)


def test_a_mark_that_hides_code_from_coverage_hides_nothing(told):
    hidden = CALC + HALF.replace("def part(a):", "def part(a):  # pragma: no cover")
    hides = {".coveragerc": "[report]\nexclude_lines =\n    .*\n[run]\nomit = *\n"}
    found, _ = told(BASE | hides, BASE | hides | {"calc.py": hidden})
    assert found.evidence["lines"] == 5


def test_unittest_is_measured_too(told):
    text = (
        "import unittest\nimport calc\n\n\nclass T(unittest.TestCase):\n"
        "    def test_part(self):\n        self.assertEqual(calc.part(1), 2)\n"
    )
    base = {"calc.py": CALC, "test_calc.py": text.replace("part(1), 2", "add(1, 1), 2")}
    result = base | {"calc.py": CALC + HALF, "test_part.py": text}
    found, case = told(base, result, test_command=UNITTEST)
    assert case.run(RESULT).exit_code == 0
    assert (found.evidence["covered"], found.evidence["lines"]) == (4, 5)
    assert found.evidence["missed"] == [{"path": "calc.py", "line": 8}]
    seen = read_seen(case.run(RESULT).left)
    assert seen.lines["calc.py"][13] == ("test_part.T.test_part",)


def test_a_project_that_sets_its_own_path_of_modules_is_measured(told):
    base = {"src/calc.py": CALC, "tests/test_calc.py": TEST}
    result = base | {"src/calc.py": CALC + HALF, "tests/test_part.py": TEST_HALF}
    found, _ = told(base, result, test_command=f"PYTHONPATH=src {PYTEST}")
    assert found.evidence["covered"] == 4


def test_of_a_copy_that_lies_elsewhere_nothing_is_known(told, tmp_path):
    installed = tmp_path / "site"
    installed.mkdir()
    (installed / "calc.py").write_text(CALC)
    base = {"src/calc.py": CALC, "tests/test_calc.py": TEST}
    command = f"PYTHONPATH='{installed}' {PYTEST}"
    found, _ = told(base, base | {"src/calc.py": CALC + HALF}, test_command=command)
    assert (found.code, found.severity) == ("coverage.unknown", Severity.NOTE)
    assert "installed copy of src/calc.py" in found.evidence["why"]


def test_a_module_of_another_package_with_the_same_last_name_is_no_copy(told):
    test = f"import urllib.parse\n{TEST}".replace("calc", "parse")
    base = {"parse.py": CALC, "tests/test_parse.py": test}
    more = {"parse.py": CALC + HALF, "tests/test_part.py": TEST_HALF.replace("calc", "parse")}
    found, _ = told(base, base | more, test_command=PYTEST)
    assert found.evidence["covered"] == 4


def test_it_needs_nothing_that_the_projects_python_lacks(told):
    bare = f"'{sys.executable}' -I -S -m unittest -q"
    text = (
        "import sys\nimport unittest\nsys.path.insert(0, '.')\nimport calc\n\n\n"
        "class T(unittest.TestCase):\n    def test_it(self):\n"
        "        self.assertRaises(ImportError, __import__, 'coverage')\n"
        "        self.assertEqual(calc.part(5), 4)\n"
    )
    base = {"calc.py": CALC, "test_calc.py": text.replace("calc.part(5), 4", "1, 1")}
    result = {"calc.py": CALC + HALF, "test_calc.py": text}
    found, case = told(base, result, test_command=bare)
    assert case.run(RESULT).exit_code == 0
    assert (found.evidence["covered"], found.evidence["lines"]) == (4, 5)


OWN_WAY = """
import importlib.machinery, importlib.util as u, sys

class Loader(importlib.machinery.SourceFileLoader):
    pass

class Finder:
    def __init__(self, loader=None):
        self.loader = loader

    def find_spec(self, name, path=None, target=None):
        if name == "calc":
            loader = self.loader and self.loader("calc", "lib/calc.py")
            return u.spec_from_file_location("calc", "lib/calc.py", loader=loader)

"""
BY_HAND = """
spec = Finder().find_spec("calc")
sys.modules["calc"] = module = u.module_from_spec(spec)
spec.loader.exec_module(module)
"""


@pytest.mark.parametrize(
    ("how", "known"),
    [
        ("sys.meta_path.append(Finder())\n", True),
        ("sys.meta_path.insert(0, Finder(Loader))\n", False),
        (BY_HAND, False),
    ],
    ids=["found by another", "loaded by another", "loaded by hand"],
)
def test_files_that_are_loaded_in_a_way_of_their_own_are_measured_or_told(told, how, known):
    base = {"conftest.py": OWN_WAY + how, "lib/calc.py": CALC, "tests/test_calc.py": TEST}
    result = base | {"lib/calc.py": CALC + HALF, "tests/test_part.py": TEST_HALF}
    found, case = told(base, result)
    assert case.run(RESULT).exit_code == 0
    if known:
        assert found.evidence["covered"] == 4
    else:
        assert found.code == "coverage.unknown"
        assert "lib/calc.py is loaded" in found.evidence["why"]


def test_what_is_seen_is_what_coverage_sees_and_nothing_runs_differently(tmp_path):
    (tmp_path / "sample.py").write_text(SAMPLE)
    whole = executable(SAMPLE, range(1, SAMPLE.count("\n") + 2))
    want = {"sample.py": sorted({s.first for s in whole})}
    given = tmp_path / "given"
    given.mkdir()
    (given / "want.json").write_text(json.dumps(want))
    (given / "muster_seen.py").write_text(own_file("muster_seen.py"))
    ends = {}
    for name, program in {"plain": "", "calls": BY_CALLS, "coverage": BY_COVERAGE}.items():
        ends[name] = subprocess.run(
            [sys.executable, "-B", "-c", program + "import sample; print(sample.told())"],
            cwd=tmp_path,
            env={
                "MUSTER_GIVEN": str(given),
                "MUSTER_TREE": str(tmp_path),
                "PYTHONPATH": str(given),
            },
            capture_output=True,
            text=True,
        )
    assert [done.returncode for done in ends.values()] == [0, 0, 0], ends
    assert len({done.stdout for done in ends.values()}) == 1
    seen = read_seen((given / "seen.json").read_text())
    lines = set(json.loads((tmp_path / "coverage.json").read_text()))
    by_coverage = {s.first for s in whole if s.lines & lines}
    assert {s.first for s in whole if seen.covers("sample.py", s)} == by_coverage
    assert 0 < len(by_coverage) < len(whole)


BY_CALLS = "import atexit, muster_seen as m; s = m.Seen(); s.start(); "
BY_CALLS += "atexit.register(s.write, m.REPORT); "
BY_COVERAGE = """
import atexit, coverage, json
c = coverage.Coverage(data_file=None, config_file=False, include=["sample.py"])
c.start()
def end():
    c.stop()
    (path,) = c.get_data().measured_files()
    open("coverage.json", "w").write(json.dumps(c.get_data().lines(path)))
atexit.register(end)
"""
SAMPLE = '''"""Every kind of statement, some of them not reached."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import inspect
import typing

COUNT = 0


class Kind(enum.Enum):
    """Kinds."""

    ONE = 1
    TWO = (
        2
    )

    def name_of(self):
        return self.name.lower()


@dataclasses.dataclass(frozen=True)
class Pair:
    a: int
    b: int = 3
    unused: typing.ClassVar[int] = 4

    @functools.cached_property
    @functools.lru_cache
    def none(self):
        return 1


class Named(typing.NamedTuple):
    """With a docstring."""

    x: int
    y: str = "y"


class Speaks(typing.Protocol):
    def speak(self) -> str: ...


def loops(upto):
    """A docstring."""
    global COUNT
    for n in range(upto):
        if n == 1:
            continue
        elif n == 3:
            break
        elif (
            n
            == 99
        ):
            COUNT = 100
        COUNT += 1
    else:
        COUNT = -1
    while COUNT > 2:
        COUNT -= 1
    else:
        COUNT += 0
    return COUNT


def nested():
    n = 0

    def inner():
        nonlocal n
        n += 1
        return n

    inner()
    return inner


def tried(what):
    try:
        with contextlib.suppress(KeyError), contextlib.nullcontext():
            {}[what]
        if what == "raise":
            raise ValueError(what)
    except ValueError as error:
        said = str(error)
    else:
        said = "else"
    finally:
        said = "finally " + said
    return said


def matched(thing):
    match thing:
        case int():
            return "int"
        case [a, *_] if a:
            return "list"
        case _:
            return "other"


def generated():
    got = yield 1
    yield got
    yield from (n for n in
                range(2))
    return


async def awaited():
    async with contextlib.AsyncExitStack():
        return [n async for n in _numbers()]


async def _numbers():
    yield 5


def never():
    del COUNT
    assert False
    pass


def told():
    import asyncio
    step = generated()
    first = next(step), step.send(7), list(step)
    doc = loops.__doc__, Kind.__doc__, Named.__doc__, nested.__doc__
    where = [inspect.getsourcelines(f)[1] for f in (loops, tried, never)]
    return (
        list(Kind), Kind.TWO.name_of(), Pair(1), Named(1), dir(Kind), sorted(vars(Speaks)),
        loops(5), loops(1), nested()(), tried("raise"), tried(""), matched(3), matched([1]),
        first, doc, where, asyncio.run(awaited()), sorted(globals()),
        [f.__code__.co_consts[0] for f in (loops, tried)], loops.__code__.co_firstlineno,
    )
'''


def test_a_command_that_shows_no_runner_needs_a_report(told):
    found, _ = told(BASE, BASE | {"calc.py": CALC + HALF}, test_command="true")
    assert found.code == "coverage.unknown"
    assert "coverage_report" in found.evidence["why"]


def test_a_change_of_words_and_tests_alone_is_no_matter_of_coverage(told):
    found, _ = told(BASE, BASE | {"tests/test_more.py": TEST})
    assert found is None


def test_the_report_of_the_projects_own_command_is_read(told):
    lcov = "TN:\nSF:web/add.js\nDA:1,4\nDA:2,0\nDA:9,1\nend_of_record\n"
    base = {
        "web/add.js": "1\n",
        "make.sh": f"printf '{lcov}' > lcov.info\n".replace("\n", "\\n", 6),
    }
    base["make.sh"] = "cat > lcov.info <<'END'\n" + lcov + "END\n"
    result = base | {"web/add.js": "1\n2\n3\n"}
    found, _ = told(base, result, test_command="sh make.sh", coverage_report="lcov.info")
    assert found.severity is Severity.NOTE
    assert {k: found.evidence[k] for k in ("covered", "lines", "by")} == {
        "covered": 0, "lines": 1, "by": "lcov"
    }  # fmt: skip
    found, _ = told(base, result, "again", test_command="true", coverage_report="gone.info")
    assert found.code == "coverage.unknown"
    assert "gone.info" in found.evidence["why"]


COBERTURA = """<?xml version="1.0"?>
<coverage><sources><source>/w/src</source></sources><packages><package><classes>
<class filename="calc.py"><lines><line number="1" hits="1"/><line number="2" hits="0"/></lines>
</class></classes></package></packages></coverage>"""


def test_cobertura_is_read_with_its_source_folder():
    lines = read_report(COBERTURA, "/w")
    assert lines.by == "cobertura"
    assert lines.of == {"src/calc.py": {1: True, 2: False}}


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "<a/>", "<coverage>", "SF:a\nDA:x,1\n", "SF:a\nDA:1\n", "SF:a\nDA:1,-2\n",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><coverage>&b;</coverage>",
        "<coverage>" + "<a>" * 50, COBERTURA.replace('hits="1"', 'hits="many"'),
    ],
)  # fmt: skip
def test_a_report_that_is_none_is_said_to_be_none(text):
    assert isinstance(read_report(text, "/w"), str)


@pytest.mark.parametrize(
    "left",
    [None, "", "[]", "[" * 9000, '{"files": 3}', '{"files": {}, "unmeasured": ["a"]}'],
)
def test_what_is_no_report_of_lines_is_not_believed(left):
    assert isinstance(read_seen(left), str)


def test_of_a_report_only_what_can_be_is_taken():
    left = '{"files": {"a.py": {"1": ["t", 5, "a\\u001bb"], "-1": [], "x": ["t"], "2": 3}},'
    seen = read_seen(left + '"seconds": {"t": -1, "u": 2}, "elsewhere": [1, "a.py"]}')
    assert seen.lines == {"a.py": {1: ("t",)}}
    assert (seen.seconds, seen.elsewhere) == ({"u": 2.0}, {"a.py"})


def test_added_lines_have_the_numbers_of_the_new_file():
    patch = (
        "--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n a\n+b\n c\n@@ -9 +10,2 @@ def\n-q\n+@@ -1 +1 @@\n+s\n"
        "\\ No newline at end of file\n"
    )
    assert added_numbers(patch) == (2, 10, 11)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("def f():\n    '''x'''\n    ...\n", [1]),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    b = 1\n", [4]),
        ("x: int\ny: int = 3\n", [2]),
        ("try:\n    a()\nexcept (\n    B\n):\n    c()\n", [1, 2, 3, 6]),
        ("@d\ndef f(\n    a=1,\n):\n    return a\n", [1, 5]),
        ("match a:\n    case 1:\n        b()\n", [1, 3]),
        ("def f():\n    global a\n    a = 1\n", [1, 3]),
    ],
)
def test_only_what_is_executed_counts(text, lines):
    found = executable(text, range(1, 100))
    assert [statement.first for statement in found] == lines


@pytest.mark.parametrize("text", ["def", "\x00", "(" * 5000, "-" * 100_000 + "1", "x" * 2_000_000])
def test_what_is_no_python_is_not_counted(text):
    assert executable(text, [1]) is None
