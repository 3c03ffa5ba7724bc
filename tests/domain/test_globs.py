"""Which files a pattern means."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import guard
from muster.domain.globs import matches
from muster.domain.project import DEFAULT_TEST_PATHS

NAMES = st.text("ab*?[]!.", min_size=1, max_size=4)
PATHS = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=5).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "path", "means"),
    [
        ("test_*", "test_a.py", True),
        ("test_*", "src/deep/test_a.py", True),
        ("test_*", "src/test_data/a.py", False),
        ("test_*", "src/latest_a.py", False),
        ("*_test.*", "pkg/calc_test.go", True),
        ("*_test.*", "pkg/calc_test/calc.go", False),
        ("tests/", "tests/a.py", True),
        ("tests/", "pkg/tests/deep/a.json", True),
        ("tests/", "tests", False),
        ("tests/", "mytests/a.py", False),
        ("/tests/", "tests/a.py", True),
        ("/tests/", "pkg/tests/a.py", False),
        ("pkg/tests/", "pkg/tests/a.py", True),
        ("pkg/tests/", "x/pkg/tests/a.py", True),
        ("tests", "tests/a.py", True),
        ("conftest.py", "a/b/conftest.py", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/deep/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/b/c/a.py", True),
        ("src/**", "src/b/c/a.py", True),
        ("src/app", "src/app/a.py", True),
        ("src/app", "src/apple/a.py", False),
        ("src/a*", "src/app/a.py", False),
        ("./src/a.py", "src/a.py", True),
        ("**/a.py", "a.py", True),
        ("Tests/", "tests/a.py", False),
        ("", "a.py", False),
        ("/", "a.py", False),
    ],
)
def test_a_pattern_means_what_the_documentation_says(pattern: str, path: str, means: bool) -> None:
    assert matches([pattern], path) is means


@pytest.mark.parametrize(
    ("path", "is_test"),
    [
        ("tests/data/x.json", True),
        ("test_calc.py", True),
        ("src/calc_test.py", True),
        ("conftest.py", True),
        ("pytest.ini", True),
        ("shop/tests.py", True),
        ("src/calc.py", False),
        ("src/contest.py", False),
    ],
)
def test_the_default_patterns_know_tests(path: str, is_test: bool) -> None:
    assert matches(DEFAULT_TEST_PATHS, path) is is_test


@given(st.lists(NAMES | st.just("**"), min_size=1, max_size=6).map("/".join), PATHS)
def test_no_pattern_and_no_path_make_it_fail(pattern: str, path: str) -> None:
    assert matches([pattern], path) in {True, False}


@given(PATHS)
def test_a_path_means_itself(path: str) -> None:
    assert matches([path], path)


def test_a_pattern_made_to_explode_does_not() -> None:
    started = time.process_time()
    assert not matches(["/".join(["**", "*a*a*a*"] * 30) + "/z"], "/".join(["aaaaaaaa"] * 60))
    assert time.process_time() - started < 30


@given(st.lists(NAMES, min_size=1, max_size=4).map("/".join), PATHS)
def test_the_plan_and_the_mixed_trees_mean_the_same_files(pattern: str, path: str) -> None:
    assert guard.matches(path, [pattern]) is matches([pattern], path)
