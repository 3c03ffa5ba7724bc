"""Which lines a change added, and which of them a program can execute."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


def added_numbers(patch: str) -> tuple[int, ...]:
    """The numbers that added lines have in the new file, from the unified diff of one file."""
    found: list[int] = []
    at = left = 0
    for line in patch.split("\n"):
        if left > 0 and line[:1] in {"+", " ", ""}:
            if line.startswith("+"):
                found.append(at)
            at, left = at + 1, left - 1
        elif hunk := _HUNK.match(line):
            at, left = int(hunk[1]), int(hunk[2]) if hunk[2] is not None else 1
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a file: the lines of its own, without those of statements inside it."""

    first: int
    lines: frozenset[int]


LARGEST = 1_000_000


def parsed(text: str) -> ast.Module | None:
    """A Python file as its syntax, None when it is none; the text may be a stranger's."""
    if len(text) > LARGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def executable(text: str, added: Iterable[int]) -> tuple[Statement, ...] | None:
    """The statements of a Python file that the added lines belong to, and that can be executed.

    None when it is no Python that we can read.
    """
    tree = parsed(text)
    if tree is None:
        return None
    wanted = frozenset(added)
    return tuple(sorted((s for s in _statements(tree) if s.lines & wanted), key=lambda s: s.first))


def _statements(tree: ast.AST) -> Iterator[Statement]:
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and _for_types(node.test):
            stack += node.orelse
            continue
        stack += ast.iter_child_nodes(node)
        if isinstance(node, ast.ExceptHandler):
            yield _until(node.lineno, node.body[0].lineno, node.lineno)
        elif isinstance(node, ast.stmt) and not _without_code(node):
            yield _own(node)


def _own(node: ast.stmt) -> Statement:
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    decorators = [d.lineno for d in getattr(node, "decorator_list", ())]
    first = min([node.lineno, *decorators])
    if not body:
        return _until(first, (node.end_lineno or node.lineno) + 1, node.lineno)
    inner = body[0].pattern if isinstance(body[0], ast.match_case) else body[0]
    return _until(first, _first(inner), node.lineno)


def _first(node: ast.AST) -> int:
    decorators = [d.lineno for d in getattr(node, "decorator_list", ())]
    return int(min([getattr(node, "lineno", 0), *decorators]))


def _until(first: int, end: int, at: int) -> Statement:
    """From `first` to the line before `end`, and at least the line `at`."""
    return Statement(first, frozenset({*range(first, end), at}))


def _without_code(node: ast.stmt) -> bool:
    """A docstring, `...`, a declaration: nothing that is executed line by line."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return isinstance(node, (ast.Global, ast.Nonlocal))


def _for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return bool(name == "TYPE_CHECKING")
