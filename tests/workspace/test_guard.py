"""The guard: names and paths that may pass, and those that may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.errors import Invalid
from muster.domain.guard import (
    commit_id,
    folder_name,
    is_git_folder,
    is_ref_name,
    matches,
    own_branch,
    ref_name,
    relative_path,
)


@pytest.mark.parametrize("name", ["main", "feature/x-1", "v1.2", "_x", "a" * 121, "muster/mu-1"])
def test_plain_branches_pass(name):
    assert ref_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "-x", "--upload-pack=x", "a..b", "a@{0}", "a//b", "/a", "a/", "a.lock", "a.lock/b"),
        *("a b", "a\n", "a~1", "a^", "a:b", "a*", "a?", "a[", "a\\b", "a;b", "a$b", "a\0b"),
        *(".a", "a/.b", "a.", "ä", "a" * 122, "@", "refs/../x"),
    ],
)
def test_what_git_or_a_shell_could_misread_does_not(name):
    with pytest.raises(Invalid) as caught:
        ref_name(name)
    assert caught.value.hint


@given(st.text())
def test_a_name_that_passes_is_never_an_option_a_range_or_a_way_up(name):
    if is_ref_name(name):
        assert name.isascii()
        assert not name.startswith(("-", "/", "."))
        assert ".." not in name
        assert not set(name) & set(" \t\r\n~^:?*[\\;$&|<>'\"`\0{}")


def test_only_branches_below_muster_are_its_own():
    assert own_branch("muster/mu-1") == "muster/mu-1"
    assert own_branch("refs/heads/muster/mu-1") == "muster/mu-1"
    for name in ("main", "muster", "musterx/a", "refs/heads/main", "refs/tags/muster/x"):
        with pytest.raises(Invalid):
            own_branch(name)


def test_commits_are_whole_ids():
    for text in ("0" * 40, "af" * 32):
        assert commit_id(text) == text
    for text in (
        "",
        "0" * 39,
        "0" * 41,
        "G" * 40,
        "A" * 40,
        "HEAD",
        "0" * 40 + "\n",
        "-" + "0" * 39,
    ):
        with pytest.raises(Invalid):
            commit_id(text)


def test_ids_name_one_folder():
    assert folder_name("coding-1f3a9c02") == "coding-1f3a9c02"
    for text in ("", ".", "..", "a/b", "a..b", "-x", ".hidden", "a\0", "x" * 201):
        with pytest.raises(Invalid):
            folder_name(text)


def test_paths_stay_inside_the_tree_and_out_of_git_folders():
    for text in ("a", "a/b c/ü", "...", "a\nb", ".gitignore"):
        assert relative_path(text) == text
    for text in ("", "/a", "a/", "./a", "a/./b", "../a", "a/..", "a//b", "a\0b", ".git/config"):
        with pytest.raises(Invalid):
            relative_path(text)


@pytest.mark.parametrize(
    "name", [".git", ".GIT", ".Git ", ".git.", "git~1", "GIT~1", ".git::$DATA"]
)
def test_every_spelling_of_a_git_folder_is_known(name):
    assert is_git_folder(name)


@pytest.mark.parametrize(
    ("path", "glob", "expected"),
    [
        ("test_a.py", "test_*", True),
        ("deep/test_a.py", "test_*", True),
        ("deep/a_test.go", "*_test.*", True),
        ("contest_a.py", "test_*", False),
        ("tests/a.py", "tests/", True),
        ("pkg/tests/data/x", "tests/", True),
        ("tests", "tests/", False),
        ("mytests/a", "tests/", False),
        ("src/it/a", "src/it/", True),
        ("x/src/it/a", "src/it/", True),
        ("src/a/it", "src/it/", False),
        ("src/spec/a.js", "src/spec/*.js", True),
        ("x/src/spec/a.js", "src/spec/*.js", False),
        ("a/conftest.py", "conftest.py", True),
        ("a.Py", "*.py", False),
        ("a", "/", False),
        ("a", "", False),
        ("x", "./x", True),
    ],
)
def test_globs_of_test_paths(path, glob, expected):
    assert matches(path, [glob]) is expected
