"""The rows of the matrix: the real programs, what each is asked to do, and what it can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.two_way_programs import KEY, PROGRAMS, Program
from muster.agents.command import CommandDriver

ROWS: Mapping[str, Program] = {
    **PROGRAMS,
    "aider": Program(
        "aider",
        CommandDriver,
        "openai/scripted",
        {"OPENAI_API_BASE": "{url}/v1", "OPENAI_API_KEY": KEY},
        {"preset": "aider"},
    ),
}
UNPRICED = frozenset({"opencode", "qwen", "aider"})
"""Programs whose model here has no price, or that tell nothing about it."""

FILES = {
    "sums.py": "def add(a, b):\n    return a - b\n",
    "test_nothing.py": (
        "import unittest\n\nimport sums\n\n\nclass There(unittest.TestCase):\n"
        "    def test_there_is_add(self):\n        self.assertTrue(sums.add)\n"
    ),
}
TESTS = "python3 -B -m unittest -q"
ADDS = (
    "import unittest\n\nimport sums\n\n\nclass Adds(unittest.TestCase):\n"
    "    def test_adds(self):\n        self.assertEqual(sums.add(1, 2), 3)\n"
)
BEGINS, ENDS = "The sign is wrong.", "add adds now."

_EDIT = {"tool": "edit", "path": "sums.py", "old": "return a - b", "new": "return a + b"}
_MISSES = {"tool": "edit", "path": "sums.py", "old": "return a * b", "new": "return a"}
_PROVE = {"tool": "write", "path": "test_add.py", "content": ADDS}
_USED = {"input_tokens": 1000, "output_tokens": 40}


@dataclass(frozen=True)
class Walk:
    """A script for one task, that stops in its middle until `go` exists."""

    name: str
    steps: list[dict[str, Any]]
    go: Path

    @property
    def reached(self) -> bool:
        """Whether the program waits in the middle."""
        return self.go.with_name(f"{self.go.name}.asked").exists()


def walk(program: str, name: str, folder: Path) -> Walk:
    """Mend the sum, wait, prove it by a test: two halves of one piece of work."""
    go = folder / f"{name}.go"
    look = {"tool": "read", "path": "sums.py"}
    first = [
        {"text": BEGINS, "tools": [look], "usage": _USED},
        {"tools": [_EDIT], "usage": _USED},
    ]
    held = {"until": str(go), **_second()}
    if program == "aider":
        # It takes edits as text, ends when all fit, and tells itself of each commit as one turn.
        first = [{"text": BEGINS, "tools": [_EDIT, _MISSES], "usage": _USED}]
        return Walk(name, [*first, *[{**held, "text": ENDS}] * 4], go)
    return Walk(name, [*first, held, _last()], go)


def _second() -> dict[str, Any]:
    return {"text": "Now the proof.", "tools": [_PROVE], "usage": _USED}


def _last() -> dict[str, Any]:
    return {"text": ENDS, "usage": _USED}


def second_half() -> list[dict[str, Any]]:
    """What is left to do when the first half is done."""
    return [_second(), _last()]
