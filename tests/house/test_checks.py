"""Our own small checks: each finds the fault it is for, and nothing in an honest file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripts.checks import index, openings, patching, places, suppressions
from scripts.checks.tree import files

Check = Callable[[Path], Iterator[str]]


@pytest.fixture
def tree(git_repo: Callable[..., Path]) -> Callable[..., Path]:
    """A repository with the given files."""

    def make(files: dict[str, str]) -> Path:
        return git_repo(files=files)

    return make


FAULTS: list[tuple[Check, str, str, str]] = [
    (patching.problems, "tests/test_a.py", "from unittest import mock\n", "imports a mock"),
    (patching.problems, "tests/test_a.py", "import unittest.mock as m\n", "imports a mock"),
    (patching.problems, "tests/test_a.py", "def test_a(mocker): ...\n", "mocker"),
    (
        patching.problems,
        "tests/test_a.py",
        "def test_a(monkeypatch):\n    monkeypatch.setattr('a.b', 1)\n",
        "replaces code",
    ),
    (openings.problems, "src/muster/a.py", "x = 1\n", "has no docstring"),
    (openings.problems, "src/muster/a.py", '"""Two lines\nof it."""\n', "one sentence"),
    (openings.problems, "src/muster/a.py", '"""No full stop"""\n', "one sentence"),
    (openings.problems, "src/muster/web/a.css", "a { color: red }\n", "comment"),
    (places.problems, "docs/a.md", "look at /wo" + "rk/main/src\n", "names /wo" + "rk"),
    (places.problems, "a.toml", "url = 'https://py" + "pi.org/simple'\n", "names py" + "pi"),
    (index.problems, "docs/lost.md", "# Lost\n", "no link leads here"),
    (suppressions.problems, "src/muster/a.py", "x = 1  # noqa: E501\n", "without saying why"),
    (suppressions.problems, "src/muster/a.py", "x = 1  # pragma: no cover\n", "without saying why"),
    (
        suppressions.problems,
        "src/muster/a.py",
        "x = 1  # noqa: E501 - a reason for this\ny = 2  # noqa: S101\n",
        ":2: switches a rule off",
    ),
]


@pytest.mark.parametrize(("check", "name", "text", "finding"), FAULTS)
def test_a_planted_fault_is_found_with_its_place(
    tree: Callable[..., Path], check: Check, name: str, text: str, finding: str
) -> None:
    found = list(check(tree({"docs/README.md": "# Index\n", name: text})))
    assert len(found) == 1
    assert found[0].startswith(f"{name}:")
    assert finding in found[0]


HONEST = {
    "docs/README.md": "[a](a.md)\n",
    "docs/a.md": "[b](sub/b.md#part)\n",
    "docs/sub/b.md": "## Part\n",
    "src/muster/a.py": '"""A file."""\nx = 1  # noqa: PTH1 - stays light\ny = 2  # noqa: PTH2\n',
    "src/muster/web/a.css": "/* Colours. */\n",
    "tests/test_a.py": "def test_a(monkeypatch):\n    monkeypatch.setenv('A', 'b')\n",
}


@pytest.mark.parametrize("check", [row[0] for row in FAULTS])
def test_an_honest_tree_has_no_findings(tree: Callable[..., Path], check: Check) -> None:
    assert list(check(tree(HONEST))) == []


def test_a_new_file_is_looked_at_before_it_is_committed_and_an_ignored_one_is_not(
    tree: Callable[..., Path],
) -> None:
    root = tree({".gitignore": "build/\n"})
    (root / "new.py").touch()
    (root / "build").mkdir()
    (root / "build" / "made.py").touch()
    assert [path.name for path in files(root)] == [".gitignore", "new.py"]


def test_a_tree_that_was_unpacked_and_is_no_repository_is_looked_at_too(tmp_path: Path) -> None:
    for name in ("src/muster/a.py", ".venv/lib/b.py", "build/c.py", ".gitignore"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in files(tmp_path)] == [".gitignore", "a.py"]
